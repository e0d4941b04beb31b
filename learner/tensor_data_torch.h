// Records written by torch.save in Python: a tuple (records, labels), or a dict with "records" or
// "x" and "labels" or "y". Parsed only behind the trainer's sandbox. No LibTorch in this header.
//
// Records are float32 (numbers as they are), uint8 (0 to 255 for 0 to 1, as pictures) or int64
// (whole numbers up to 2^24, as tokens); labels are int64, int32, uint8, bool or float32, one a
// record. Thread-safe: a pure function.
#ifndef DURE_LEARNER_TENSOR_DATA_TORCH_H_
#define DURE_LEARNER_TENSOR_DATA_TORCH_H_

#include <string>

#include "absl/status/statusor.h"
#include "learner/data/dataset.h"
#include "learner/loss.h"

namespace dure {

// `bytes` is the whole file, `name` is for messages. Of texts the labels may be missing.
// InvalidArgument, naming what is there and what is needed, for another structure, dtype, shape or
// number of labels, and for values that are not finite; ResourceExhausted above the limits of
// learner/data/dataset.h.
absl::StatusOr<Dataset> ReadTensors(const std::string& bytes, const std::string& name, Loss loss);

}  // namespace dure

#endif  // DURE_LEARNER_TENSOR_DATA_TORCH_H_
