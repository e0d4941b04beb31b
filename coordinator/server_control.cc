#include "coordinator/server_control.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "crypto/digest.h"
#include "federation/model_file.h"

namespace dure {
namespace {

constexpr std::string_view kMagic = "DSCV";
constexpr size_t kHashBytes = 32;

std::string HashOf(std::string_view bytes) { return ToString(Sha256(AsBytes(bytes))); }

}  // namespace

void ServerControl::Move(std::span<const float> mean_change, uint32_t survivors,
                         const RoundTerms& terms) {
  DURE_CHECK(mean_change.size() == values_.size());
  const double factor = static_cast<double>(survivors) / population_ / terms.control_scale;
  for (size_t i = 0; i < values_.size(); ++i) {
    values_[i] = static_cast<float>(values_[i] + factor * mean_change[i]);
  }
}

std::string ServerControl::Save(std::string optimizer) const {
  if (!used()) return optimizer;
  const std::string numbers = ParamsToBytes(values_);
  return absl::StrCat(std::string(kMagic), HashOf(numbers), numbers, optimizer);
}

absl::StatusOr<std::string> ServerControl::Load(std::string_view saved) {
  if (!used()) return std::string(saved);
  const size_t numbers = values_.size() * sizeof(float);
  const size_t header = kMagic.size() + kHashBytes;
  if (saved.size() < header + numbers || !saved.starts_with(kMagic)) {
    return absl::DataLossError(absl::StrCat("the saved state of ", saved.size(),
                                            " bytes has no control variate of ", values_.size(),
                                            " numbers"));
  }
  const std::string_view bytes = saved.substr(header, numbers);
  if (saved.substr(kMagic.size(), kHashBytes) != HashOf(bytes)) {
    return absl::DataLossError("the saved control variate is damaged");
  }
  absl::StatusOr<std::vector<float>> values = ParamsFromBytes(bytes, values_.size());
  if (!values.ok()) return absl::DataLossError(values.status().message());
  values_ = *std::move(values);
  return std::string(saved.substr(header + numbers));
}

}  // namespace dure
