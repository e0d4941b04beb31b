#include "learner/data/text.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "learner/data/csv.h"
#include "learner/data/schema.h"
#include "learner/data/table.h"

namespace dure {
namespace {

constexpr size_t kPartBytes = size_t{1} << 20;

std::string Text(std::string_view text) { return std::string(text); }

struct Character {
  uint32_t value = 0;
  size_t bytes = 1;
};

// The first of `text`, which is UTF-8 and not empty.
Character First(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const size_t bytes = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
  uint32_t value = byte(0) & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) value = value << 6 | (byte(i) & 0x3Fu);
  return {value, bytes};
}

// Beyond ASCII: blocks of punctuation, signs and pictures, both ends included (Unicode 15). All
// else from U+00C0 on is taken as a letter.
constexpr std::array<std::array<uint32_t, 2>, 9> kNoLetters = {{{0x80, 0xBF},
                                                                {0xD7, 0xD7},
                                                                {0xF7, 0xF7},
                                                                {0x2000, 0x2BFF},
                                                                {0x2E00, 0x2E7F},
                                                                {0x3000, 0x303F},
                                                                {0xFE00, 0xFE6F},
                                                                {0xFF00, 0xFF0F},
                                                                {0x1F000, 0x1FAFF}}};

bool IsInWord(uint32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  return std::none_of(kNoLetters.begin(), kNoLetters.end(),
                      [c](const auto& block) { return c >= block[0] && c <= block[1]; });
}

// Of ASCII, Latin-1, Greek and Cyrillic; other letters stay as they are.
uint32_t LowerCase(uint32_t c) {
  if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE) || (c >= 0x391 && c <= 0x3A9) ||
      (c >= 0x410 && c <= 0x42F)) {
    return c + 0x20;
  }
  return c >= 0x400 && c <= 0x40F ? c + 0x50 : c;
}

// What LowerCase gives of a character of one or two bytes has one or two bytes, too.
void AppendUtf8(uint32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
  } else {
    out->push_back(static_cast<char>(0xC0 | c >> 6));
    out->push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

// Calls `take` with each word; its argument holds until the next.
template <typename Take>
void ForEachWord(std::string_view text, Take take) {
  std::string word;
  for (size_t at = 0; at < text.size();) {
    const Character c = First(text.substr(at));
    if (!IsInWord(c.value)) {
      if (!word.empty()) take(word);
      word.clear();
    } else if (c.value < 0x800) {
      AppendUtf8(LowerCase(c.value), &word);
    } else {
      word.append(text.substr(at, c.bytes));
    }
    at += c.bytes;
  }
  if (!word.empty()) take(word);
}

// InvalidArgument with the line that is not UTF-8.
absl::Status CheckUtf8(std::string_view text, std::string_view name) {
  if (IsUtf8(text)) return absl::OkStatus();
  uint64_t line = 1;
  for (size_t begin = 0; begin < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (!IsUtf8(text.substr(begin, end - begin))) break;
    begin = end + 1;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      Text(name), ":", line, ": this line is not UTF-8: convert the file (iconv -t UTF-8)"));
}

absl::Status TooShort(std::string_view name, uint64_t tokens, bool words, uint32_t length) {
  return absl::InvalidArgumentError(
      absl::StrCat(Text(name), " holds ", tokens, words ? " words" : " bytes",
                   " of text, and a "
                   "record needs ",
                   uint64_t{length} + 1, " (model.input.shape and one)"));
}

// Features must mean the same everywhere: a table is read by the federation's schema.
absl::Status CheckFederationSchema(const DataFiles& files) {
  if (!files.schema.valid()) return absl::OkStatus();
  if (!IsTable(files)) {
    return absl::FailedPreconditionError(absl::StrCat(
        files.images_path, " is no table, and the federation's data are tables (data.schema)"));
  }
  DURE_ASSIGN_OR_RETURN(Schema there, ReadSchema(files.schema.get(), "the federation's schema"));
  DURE_ASSIGN_OR_RETURN(const Schema here, ReadSchema(files.labels.get(), files.labels_path));
  there.format = here.format;
  if (there == here) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(files.labels_path, " is not the federation's schema: register the table again"));
}

}  // namespace

absl::StatusOr<Vocabulary> Vocabulary::Parse(std::string_view text, std::string_view name) {
  DURE_RETURN_IF_ERROR(CheckUtf8(text, name));
  Vocabulary vocabulary;
  uint64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view word = text.substr(begin, end - begin);
    if (word.ends_with('\r')) word.remove_suffix(1);
    begin = end + 1;
    ++line;
    const auto fault = [&](const std::string& why) {
      return absl::InvalidArgumentError(absl::StrCat(Text(name), ":", line, ": ", why));
    };
    if (word.size() > kMaxWordBytes) {
      return fault(absl::StrCat("a word of ", word.size(), " bytes, limit ", kMaxWordBytes));
    }
    if (SplitWords(word) != std::vector<std::string>{Text(word)}) {
      return fault(absl::StrCat("\"", Excerpt(word),
                                "\" is no word that a text can have: one run of letters and digits "
                                "in lower case"));
    }
    const auto number = static_cast<uint32_t>(vocabulary.size());
    if (!vocabulary.numbers_.emplace(word, number).second) {
      return fault(absl::StrCat("the word \"", Excerpt(word), "\" is there a second time"));
    }
    if (vocabulary.size() > kMaxVocabularyWords) {
      return fault(absl::StrCat("more than ", kMaxVocabularyWords, " words"));
    }
  }
  if (vocabulary.size() > 0) return vocabulary;
  return absl::InvalidArgumentError(absl::StrCat(Text(name), " holds no word"));
}

uint32_t Vocabulary::NumberOf(std::string_view word) const {
  const auto found = numbers_.find(Text(word));
  return found == numbers_.end() ? static_cast<uint32_t>(size()) : found->second;
}

std::vector<std::string> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  ForEachWord(text, [&](const std::string& word) { words.push_back(word); });
  return words;
}

absl::StatusOr<Dataset> CutText(std::string_view text, const TextCut& cut, std::string_view name) {
  DURE_RETURN_IF_ERROR(CheckUtf8(text, name));
  if (cut.length == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(Text(name), ": a record of a text has one token or more"));
  }
  std::vector<float> words;
  if (cut.vocabulary != nullptr) {
    ForEachWord(text, [&](const std::string& word) {
      words.push_back(static_cast<float>(cut.vocabulary->NumberOf(word)));
    });
  }
  const uint64_t tokens = cut.vocabulary != nullptr ? words.size() : text.size();
  const uint64_t length = cut.length;
  const uint64_t records = tokens == 0 ? 0 : (tokens - 1) / length;
  if (records == 0) return TooShort(name, tokens, cut.vocabulary != nullptr, cut.length);
  if (records > kMaxDatasetRecords || records * (length + 1) * sizeof(float) > kMaxDatasetBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(Text(name), " holds ", records, " records of ", length + 1, " tokens, limit ",
                     kMaxDatasetRecords, " records and ", kMaxDatasetBytes, " bytes"));
  }
  Dataset data;
  data.shape = {cut.length + 1};
  data.labels.assign(records, 0.0f);
  data.numbers.reserve(records * (length + 1));
  for (uint64_t record = 0; record < records; ++record) {
    for (uint64_t i = record * length; i <= (record + 1) * length; ++i) {
      data.numbers.push_back(
          cut.vocabulary != nullptr ? words[i] : static_cast<float>(static_cast<uint8_t>(text[i])));
    }
  }
  return data;
}

absl::StatusOr<std::string> ReadText(int fd, const std::string& name) {
  std::string text;
  std::vector<char> part(kPartBytes);
  for (;;) {
    const ssize_t got = pread(fd, part.data(), part.size(), static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", name));
    if (got == 0) break;
    text.append(part.data(), static_cast<size_t>(got));
    if (text.size() > kMaxTextBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(name, " is larger than the limit of ", kMaxTextBytes, " bytes of text"));
    }
  }
  DURE_RETURN_IF_ERROR(CheckUtf8(text, name));
  return text;
}

absl::StatusOr<Dataset> ReadDatasetFor(const DataFiles& files, const ModelSection& model) {
  DURE_RETURN_IF_ERROR(CheckFederationSchema(files));
  if (!IsText(files)) return ReadDataset(files);
  if (model.loss() != ModelSection::NEXT_TOKEN) {
    return absl::FailedPreconditionError(absl::StrCat(
        files.images_path, " is text, and the federation's model does not predict the next token"));
  }
  DURE_ASSIGN_OR_RETURN(const std::string text, ReadText(files.images.get(), files.images_path));
  TextCut cut{.length = model.input().shape_size() > 0 ? model.input().shape(0) : 0};
  if (model.tokens() != ModelSection::WORDS) return CutText(text, cut, files.images_path);
  if (!files.vocabulary.valid()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the vocabulary ", model.vocabulary(), " is missing"));
  }
  DURE_ASSIGN_OR_RETURN(const std::string words,
                        ReadText(files.vocabulary.get(), model.vocabulary()));
  DURE_ASSIGN_OR_RETURN(const Vocabulary vocabulary, Vocabulary::Parse(words, model.vocabulary()));
  cut.vocabulary = &vocabulary;
  return CutText(text, cut, files.images_path);
}

}  // namespace dure
