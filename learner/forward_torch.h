// The built-in networks by LibTorch: the forward pass, the losses of learner/loss.h, and the same
// forward pass as TorchScript. resnet18, gru and lstm are written down here; the others follow from
// their layers. Throws what LibTorch throws. Thread-safe: pure functions.
#ifndef DURE_LEARNER_FORWARD_TORCH_H_
#define DURE_LEARNER_FORWARD_TORCH_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "learner/architecture.h"
#include "learner/loss.h"

namespace dure {

// What `architecture` gives for a batch `x`: [N, channels, height, width] or [N, features] floats,
// or [N, L] tokens as int64. [N, classes], or [N, L, classes] for tokens. `params` in the
// manifest's order.
at::Tensor Forward(const Architecture& architecture, std::span<const at::Tensor> params,
                   at::Tensor x);

// The same as the source of a TorchScript method. Parameters are self.LAYER.NAME, where the
// manifest has LAYER.NAME.
std::string ForwardSource(const Architecture& architecture);

// A batch of records of `size` numbers each, for a model of this loss; `shape` is a record's. Of
// texts the tokens but the last.
at::Tensor BatchOf(Loss loss, std::span<const float> records, size_t size,
                   std::span<const uint32_t> shape);

// The losses of a batch added up; `outputs` as the model gives them, `records` as in BatchOf. The
// loss of a text is the mean over its tokens.
at::Tensor SumOfLosses(Loss loss, const at::Tensor& outputs, std::span<const float> records,
                       std::span<const float> labels);

// `flat`, the manifest's order, as tensors of their own that ask for gradients.
std::vector<at::Tensor> Leaves(const ParamManifest& manifest, std::span<const float> flat);
// Copies `flat` into such tensors.
void CopyInto(std::span<const float> flat, std::span<const at::Tensor> params);

// Subtracts the gradients from `sum`, one after the other; one that is not there counts as zero.
void SubtractGradients(std::span<const at::Tensor> gradients, std::span<const at::Tensor> params,
                       std::span<float> sum);

std::vector<float> ToVector(const at::Tensor& tensor);

// From now on this thread computes every operation by itself.
void UseOneThread();

}  // namespace dure

#endif  // DURE_LEARNER_FORWARD_TORCH_H_
