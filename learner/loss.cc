#include "learner/loss.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"

namespace dure {
namespace {

uint32_t ClassOf(float label, size_t classes) {
  DURE_CHECK(label >= 0 && label < static_cast<float>(classes));
  return static_cast<uint32_t>(label);
}

Outcome JudgeClasses(std::span<const float> logits, uint32_t label) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit) - *largest);
  const auto predicted = static_cast<uint32_t>(largest - logits.begin());
  return {.loss = std::log(sum) + *largest - logits[label],
          .predicted = predicted,
          .right = predicted == label ? 1.0 : 0.0,
          .score = logits.size() == 2 ? static_cast<double>(logits[1]) - logits[0] : 0};
}

// log(1 + exp(-x)), which is finite for every finite x.
double Softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

Outcome JudgeTokens(std::span<const float> outputs, FeatureView record) {
  DURE_CHECK(record.size() >= 2 && outputs.size() % (record.size() - 1) == 0);
  const size_t tokens = record.size() - 1, classes = outputs.size() / tokens;
  Outcome all;
  for (size_t i = 0; i < tokens; ++i) {
    const Outcome one =
        JudgeClasses(outputs.subspan(i * classes, classes), ClassOf(record[i + 1], classes));
    all.loss += one.loss;
    all.right += one.right;
  }
  all.loss /= static_cast<double>(tokens);
  all.right /= static_cast<double>(tokens);
  return all;
}

}  // namespace

void OutputDirection(Loss loss, std::span<const float> outputs, float label,
                     std::span<float> direction) {
  DURE_CHECK(outputs.size() == direction.size());
  switch (loss) {
    case ModelSection::BCE_WITH_LOGITS:
      DURE_CHECK(outputs.size() == 1 && (label == 0 || label == 1));
      direction[0] = label - 1 / (1 + std::exp(-outputs[0]));
      return;
    case ModelSection::MSE:
      DURE_CHECK(outputs.size() == 1);
      direction[0] = 2 * (label - outputs[0]);
      return;
    case ModelSection::CROSS_ENTROPY: {
      // One at the label, less the probabilities.
      const uint32_t right = ClassOf(label, outputs.size());
      const float largest = *std::max_element(outputs.begin(), outputs.end());
      float sum = 0;
      for (size_t j = 0; j < outputs.size(); ++j) {
        sum += direction[j] = std::exp(outputs[j] - largest);
      }
      for (size_t j = 0; j < outputs.size(); ++j) {
        direction[j] = (j == right ? 1.0f : 0.0f) - direction[j] / sum;
      }
      return;
    }
    default:
      DURE_CHECK(false && "no loss of one row of outputs");
  }
}

Outcome Judge(Loss loss, std::span<const float> outputs, FeatureView record, float label) {
  switch (loss) {
    case ModelSection::BCE_WITH_LOGITS: {
      DURE_CHECK(outputs.size() == 1 && (label == 0 || label == 1));
      const double logit = outputs[0];
      const uint32_t predicted = logit >= 0 ? 1 : 0;
      return {.loss = Softplus(label == 1 ? -logit : logit),
              .predicted = predicted,
              .right = static_cast<float>(predicted) == label ? 1.0 : 0.0,
              .score = logit};
    }
    case ModelSection::MSE: {
      DURE_CHECK(outputs.size() == 1);
      const double difference = static_cast<double>(outputs[0]) - label;
      return {.loss = difference * difference, .score = outputs[0]};
    }
    case ModelSection::NEXT_TOKEN:
      return JudgeTokens(outputs, record);
    default:
      return JudgeClasses(outputs, ClassOf(label, outputs.size()));
  }
}

}  // namespace dure
