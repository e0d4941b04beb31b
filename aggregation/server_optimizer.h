// How the mean update becomes the next model: FedAvg, FedAvgM (Hsu, Qi, Brown 2019) and FedAdagrad,
// FedAdam, FedYogi (Reddi et al. 2020, "Adaptive Federated Optimization", Algorithm 2, without bias
// correction, as there). With update D, all per coordinate:
//
//   FedAvg      x += lr D
//   FedAvgM     m = beta1 m + D;                      x += lr m
//   the others  m = beta1 m + (1 - beta1) D;          x += lr m / (sqrt(v) + tau)
//     Adagrad   v = v + D^2
//     Adam      v = beta2 v + (1 - beta2) D^2
//     Yogi      v = v - (1 - beta2) D^2 sign(v - D^2)
//
// from m = 0 and v = tau^2, where lr is learning_rate times the factor of the round. Computed in
// binary64, kept in binary32. Not thread-safe, but blocks that do not overlap may be stepped by
// different threads at a time.
#ifndef DURE_AGGREGATION_SERVER_OPTIMIZER_H_
#define DURE_AGGREGATION_SERVER_OPTIMIZER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dure {

enum class ServerOptimizerKind : uint32_t {
  kFedAvg = 1,
  kFedAvgM = 2,
  kFedAdagrad = 3,
  kFedAdam = 4,
  kFedYogi = 5,
};

struct ServerOptimizerConfig {
  ServerOptimizerKind kind = ServerOptimizerKind::kFedAvg;
  double learning_rate = 1;  // > 0
  double beta1 = 0;          // [0, 1): all but FedAvg
  double beta2 = 0;          // [0, 1): FedAdam, FedYogi
  double tau = 0;            // > 0: FedAdagrad, FedAdam, FedYogi
};

class ServerOptimizer {
 public:
  virtual ~ServerOptimizer() = default;

  // One step of coordinates offset .. offset + model.size() - 1: `mean_delta` is the direction to
  // add, `model` is changed in place. In a round every coordinate is stepped once. Blocks without a
  // common coordinate may be stepped on different threads at once.
  // InvalidArgument, and nothing changed, if the sizes differ, the block leaves the model or a
  // mean_delta is not finite.
  virtual absl::Status Step(size_t offset, std::span<const float> mean_delta,
                            std::span<float> model) = 0;

  // From now on steps move the model by `factor`, 0 or more and finite (DURE_CHECK), times
  // learning_rate: a schedule (federation/terms/schedule.h). Not part of the state; 1 at first.
  virtual void ScaleRate(double factor) = 0;

  // The state as bytes, all little-endian:
  //   "DSOS" | u32 version = 1 | u32 kind | u64 dim | m: dim x f32 | v: dim x f32 | u32 crc
  // m for all but FedAvg, v for the last three; crc is the CRC-32 of zlib over all before it. It
  // finds damage, not malice: who may write the store may write the state.
  virtual std::string Save() const = 0;

  // Replaces the state by what Save() wrote for the same kind and dim. DataLoss, and nothing
  // changed, if the bytes have the wrong length, version, kind, dim or sum, or hold a number that
  // cannot be (not finite, or a negative v).
  virtual absl::Status Load(std::string_view bytes) = 0;
};

// At the start state, for a model of `dim` coordinates.
// InvalidArgument, naming the key, if a number that the kind uses is outside its range, or unless
// 1 <= dim <= 2^32.
absl::StatusOr<std::unique_ptr<ServerOptimizer>> CreateServerOptimizer(
    const ServerOptimizerConfig& config, size_t dim);

}  // namespace dure

#endif  // DURE_AGGREGATION_SERVER_OPTIMIZER_H_
