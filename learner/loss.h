// The losses of the federation file (model.loss), on what a model gives for one record: their
// value, their gradient, and what of it counts as right. For models that LibTorch differentiates it
// computes the same gradients itself. Thread-safe: pure functions.
//
//   cross_entropy    outputs: a logit for each class; label: the class
//   bce_with_logits  outputs: the logit of class 1; label: 0 or 1
//   mse              outputs: the predicted number; label: the number
//   next_token       outputs: L rows of a logit for each token; the record has L + 1 tokens, of
//                    which the last L are what should have been predicted; the label is not used
#ifndef DURE_LEARNER_LOSS_H_
#define DURE_LEARNER_LOSS_H_

#include <cstdint>
#include <span>

#include "learner/data/dataset.h"
#include "proto/federation.pb.h"

namespace dure {

using Loss = ModelSection::Loss;

// Minus the gradient of the loss by each output, of any loss but next_token (DURE_CHECK).
// Precondition (DURE_CHECK): both have one length, and `label` is a class where it must be.
void OutputDirection(Loss loss, std::span<const float> outputs, float label,
                     std::span<float> direction);

// What one record says of a model.
struct Outcome {
  double loss = 0;  // of next_token: the mean over the tokens
  uint32_t predicted =
      0;             // class: the most likely, the first of equals; 1 for a logit of 0 or more
  double right = 0;  // 1 or 0; next_token: the share of tokens; mse: 0
  double score = 0;  // two classes: rises with the chance of class 1; mse: the number
};
// Precondition (DURE_CHECK): as above; next_token: the record's tokens are below the columns of
// `outputs`.
Outcome Judge(Loss loss, std::span<const float> outputs, FeatureView record, float label);

}  // namespace dure

#endif  // DURE_LEARNER_LOSS_H_
