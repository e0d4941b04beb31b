// Plain text as records for a model that predicts the next token: cut into tokens, and these into
// records. docs/formats/data.md states the rules. Thread-safe: values and pure functions.
#ifndef DURE_LEARNER_DATA_TEXT_H_
#define DURE_LEARNER_DATA_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "learner/data/dataset.h"
#include "proto/federation.pb.h"

namespace dure {

inline constexpr uint64_t kMaxTextBytes = uint64_t{1} << 30;
inline constexpr size_t kMaxVocabularyWords = 65'535;
inline constexpr size_t kMaxWordBytes = 256;

// Words and their numbers: 0 for the first line of the file. Words that are not in it share the
// number after the last.
class Vocabulary {
 public:
  // A word a line. InvalidArgument with "NAME:LINE: what", for what is not UTF-8, an empty line, a
  // word twice, what SplitWords would not give as one word, or a number of words beyond the limits.
  static absl::StatusOr<Vocabulary> Parse(std::string_view text, std::string_view name);

  size_t size() const { return numbers_.size(); }
  uint32_t NumberOf(std::string_view word) const;

 private:
  std::unordered_map<std::string, uint32_t> numbers_;
};

// Whole runs of letters and digits of `text`, which is UTF-8, in lower case; what lies between them
// is no word.
std::vector<std::string> SplitWords(std::string_view text);

struct TextCut {
  uint32_t length = 0;                     // tokens that a model sees at once
  const Vocabulary* vocabulary = nullptr;  // null: tokens are the bytes of the text
};

// Record i has the tokens from i * length to (i + 1) * length, both included: the last of one is
// the first of the next. Tokens that fill no record are dropped. InvalidArgument, naming `name`,
// for what is not UTF-8 (with the line), and where there are too few tokens for one record.
absl::StatusOr<Dataset> CutText(std::string_view text, const TextCut& cut, std::string_view name);

// What a model of this kind learns from: `files` as text, cut as the model says, or as any other
// data (ReadDataset). FailedPrecondition if the files are text and the model is none of text, or if
// the terms name a schema and the files are no table of it.
absl::StatusOr<Dataset> ReadDatasetFor(const DataFiles& files, const ModelSection& model);

// The text itself. InvalidArgument for what is not UTF-8, ResourceExhausted above kMaxTextBytes.
absl::StatusOr<std::string> ReadText(int fd, const std::string& name);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_TEXT_H_
