#include "aggregation/server_optimizer.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace dure {
namespace {

static_assert(std::endian::native == std::endian::little, "the saved state is little-endian");

constexpr char kMagic[4] = {'D', 'S', 'O', 'S'};
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 4 + 4 + 4 + 8;
constexpr size_t kSumBytes = 4;
constexpr uint64_t kMaxDim = uint64_t{1} << 32;

bool HasMomentum(ServerOptimizerKind kind) { return kind != ServerOptimizerKind::kFedAvg; }

bool IsAdaptive(ServerOptimizerKind kind) {
  return kind == ServerOptimizerKind::kFedAdagrad || kind == ServerOptimizerKind::kFedAdam ||
         kind == ServerOptimizerKind::kFedYogi;
}

bool UsesBeta2(ServerOptimizerKind kind) {
  return kind == ServerOptimizerKind::kFedAdam || kind == ServerOptimizerKind::kFedYogi;
}

absl::Status CheckRange(bool ok, absl::string_view key, double value, absl::string_view range) {
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("server.", key, " = ", value, " is outside ", range));
}

absl::Status CheckConfig(const ServerOptimizerConfig& config, size_t dim) {
  if (config.kind < ServerOptimizerKind::kFedAvg || config.kind > ServerOptimizerKind::kFedYogi) {
    return absl::InvalidArgumentError(
        absl::StrCat("server.optimizer = ", static_cast<uint32_t>(config.kind),
                     " is not one of the five known kinds"));
  }
  if (dim < 1 || dim > kMaxDim) {
    return absl::InvalidArgumentError(
        absl::StrCat("a model of ", dim, " coordinates is outside 1 to ", kMaxDim));
  }
  auto is_positive = [](double x) { return std::isfinite(x) && x > 0; };
  auto is_share = [](double x) { return x >= 0 && x < 1; };
  DURE_RETURN_IF_ERROR(CheckRange(is_positive(config.learning_rate), "learning_rate",
                                  config.learning_rate, "(0, infinity)"));
  if (HasMomentum(config.kind)) {
    DURE_RETURN_IF_ERROR(CheckRange(is_share(config.beta1), "beta1", config.beta1, "[0, 1)"));
  }
  if (UsesBeta2(config.kind)) {
    DURE_RETURN_IF_ERROR(CheckRange(is_share(config.beta2), "beta2", config.beta2, "[0, 1)"));
  }
  if (IsAdaptive(config.kind)) {
    DURE_RETURN_IF_ERROR(CheckRange(is_positive(config.tau), "tau", config.tau, "(0, infinity)"));
    // v = tau^2 is kept in binary32: a tau too small for that would start at v = 0.
    DURE_RETURN_IF_ERROR(CheckRange(std::isnormal(static_cast<float>(config.tau * config.tau)),
                                    "tau", config.tau, "1e-18 to 1e18"));
  }
  return absl::OkStatus();
}

void Append(std::string* out, const void* data, size_t size) {
  out->append(static_cast<const char*>(data), size);
}

uint32_t Crc32(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// One class for the five: what differs is which of m and v exist and three lines of Step().
class BlockwiseOptimizer final : public ServerOptimizer {
 public:
  BlockwiseOptimizer(const ServerOptimizerConfig& config, size_t dim)
      : config_(config), rate_(config.learning_rate), dim_(dim) {
    if (HasMomentum(config_.kind)) m_.assign(dim_, 0.0f);
    if (IsAdaptive(config_.kind)) v_.assign(dim_, static_cast<float>(config_.tau * config_.tau));
  }

  absl::Status Step(size_t offset, std::span<const float> mean_delta,
                    std::span<float> model) override {
    if (mean_delta.size() != model.size()) {
      return absl::InvalidArgumentError(absl::StrCat("the update has ", mean_delta.size(),
                                                     " coordinates, the model ", model.size()));
    }
    if (offset > dim_ || model.size() > dim_ - offset) {
      return absl::InvalidArgumentError(absl::StrCat(
          "coordinates from ", offset, ", ", model.size(), " of them, leave a model of ", dim_));
    }
    for (size_t j = 0; j < mean_delta.size(); ++j) {
      if (!std::isfinite(mean_delta[j])) {
        return absl::InvalidArgumentError(
            absl::StrCat("the update is not finite at coordinate ", offset + j));
      }
    }
    switch (config_.kind) {
      case ServerOptimizerKind::kFedAvg:
        StepPlain(mean_delta, model);
        break;
      case ServerOptimizerKind::kFedAvgM:
        StepMomentum(offset, mean_delta, model);
        break;
      case ServerOptimizerKind::kFedAdagrad:
        StepAdaptive(offset, mean_delta, model, [](double v, double d2) { return v + d2; });
        break;
      case ServerOptimizerKind::kFedAdam:
        StepAdaptive(offset, mean_delta, model,
                     [b = config_.beta2](double v, double d2) { return b * v + (1 - b) * d2; });
        break;
      case ServerOptimizerKind::kFedYogi:
        StepAdaptive(offset, mean_delta, model, [b = config_.beta2](double v, double d2) {
          double sign = v > d2 ? 1 : v < d2 ? -1 : 0;
          return v - (1 - b) * d2 * sign;
        });
        break;
    }
    return absl::OkStatus();
  }

  void ScaleRate(double factor) override {
    DURE_CHECK(std::isfinite(factor) && factor >= 0);
    rate_ = config_.learning_rate * factor;
  }

  std::string Save() const override {
    std::string out;
    out.reserve(SavedBytes());
    const auto kind = static_cast<uint32_t>(config_.kind);
    const uint64_t dim = dim_;
    Append(&out, kMagic, sizeof(kMagic));
    Append(&out, &kVersion, sizeof(kVersion));
    Append(&out, &kind, sizeof(kind));
    Append(&out, &dim, sizeof(dim));
    Append(&out, m_.data(), m_.size() * sizeof(float));
    Append(&out, v_.data(), v_.size() * sizeof(float));
    const uint32_t crc = Crc32(out);
    Append(&out, &crc, sizeof(crc));
    return out;
  }

  absl::Status Load(std::string_view bytes) override {
    if (bytes.size() != SavedBytes()) {
      return absl::DataLossError(absl::StrCat("server optimiser state of ", bytes.size(),
                                              " bytes, expected ", SavedBytes(), " for ", dim_,
                                              " coordinates"));
    }
    uint32_t version, kind, crc;
    uint64_t dim;
    std::memcpy(&version, bytes.data() + 4, sizeof(version));
    std::memcpy(&kind, bytes.data() + 8, sizeof(kind));
    std::memcpy(&dim, bytes.data() + 12, sizeof(dim));
    std::memcpy(&crc, bytes.data() + bytes.size() - kSumBytes, sizeof(crc));
    if (std::memcmp(bytes.data(), kMagic, sizeof(kMagic)) != 0) {
      return absl::DataLossError("server optimiser state does not begin with DSOS");
    }
    if (version != kVersion) {
      return absl::DataLossError(absl::StrCat("server optimiser state has version ", version,
                                              ", this program reads ", kVersion));
    }
    if (kind != static_cast<uint32_t>(config_.kind) || dim != dim_) {
      return absl::DataLossError(absl::StrCat("server optimiser state is of kind ", kind, " with ",
                                              dim, " coordinates, expected kind ",
                                              static_cast<uint32_t>(config_.kind), " with ", dim_));
    }
    if (crc != Crc32(bytes.substr(0, bytes.size() - kSumBytes))) {
      return absl::DataLossError("server optimiser state is damaged: its CRC-32 does not match");
    }
    std::vector<float> m(m_.size()), v(v_.size());
    const char* numbers = bytes.data() + kHeaderBytes;
    if (!m.empty()) std::memcpy(m.data(), numbers, m.size() * sizeof(float));
    if (!v.empty())
      std::memcpy(v.data(), numbers + m.size() * sizeof(float), v.size() * sizeof(float));
    for (float x : m) {
      if (!std::isfinite(x)) return absl::DataLossError("server optimiser state: m is not finite");
    }
    for (float x : v) {
      if (!(std::isfinite(x) && x >= 0)) {
        return absl::DataLossError("server optimiser state: v is negative or not finite");
      }
    }
    m_ = std::move(m);
    v_ = std::move(v);
    return absl::OkStatus();
  }

 private:
  size_t SavedBytes() const {
    return kHeaderBytes + (m_.size() + v_.size()) * sizeof(float) + kSumBytes;
  }

  void StepPlain(std::span<const float> delta, std::span<float> model) const {
    for (size_t j = 0; j < model.size(); ++j) {
      model[j] = Kept(model[j] + rate_ * delta[j]);
    }
  }

  void StepMomentum(size_t offset, std::span<const float> delta, std::span<float> model) {
    for (size_t j = 0; j < model.size(); ++j) {
      double m = config_.beta1 * m_[offset + j] + delta[j];
      m_[offset + j] = Kept(m);
      model[j] = Kept(model[j] + rate_ * m);
    }
  }

  template <typename SecondMoment>
  void StepAdaptive(size_t offset, std::span<const float> delta, std::span<float> model,
                    SecondMoment second_moment) {
    for (size_t j = 0; j < model.size(); ++j) {
      const double d = delta[j];
      const double m = config_.beta1 * m_[offset + j] + (1 - config_.beta1) * d;
      const double v = second_moment(v_[offset + j], d * d);
      m_[offset + j] = Kept(m);
      v_[offset + j] = Kept(v);
      model[j] = Kept(model[j] + rate_ * m / (std::sqrt(v) + config_.tau));
    }
  }

  // `x` as binary32, the largest finite one where it is beyond: no step makes an infinity, and a
  // saved state can always be loaded.
  static float Kept(double x) {
    constexpr double kLargest = std::numeric_limits<float>::max();
    return static_cast<float>(std::clamp(x, -kLargest, kLargest));
  }

  ServerOptimizerConfig config_;
  double rate_;  // of the round
  size_t dim_;
  std::vector<float> m_;  // dim_ if HasMomentum, else empty
  std::vector<float> v_;  // dim_ if IsAdaptive, else empty
};

}  // namespace

absl::StatusOr<std::unique_ptr<ServerOptimizer>> CreateServerOptimizer(
    const ServerOptimizerConfig& config, size_t dim) {
  DURE_RETURN_IF_ERROR(CheckConfig(config, dim));
  return std::make_unique<BlockwiseOptimizer>(config, dim);
}

}  // namespace dure
