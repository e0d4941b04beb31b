// Known answers from tests/golden/*.csv, for tests. A missing file or column fails loudly.
#ifndef DURE_TESTS_SUPPORT_GOLDEN_H_
#define DURE_TESTS_SUPPORT_GOLDEN_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace dure::testing {

using Row = std::map<std::string, std::string>;

// Splits one CSV line; a field in double quotes may hold commas.
inline std::vector<std::string> SplitCsv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

// The folder of known answers: that of the environment variable DURE_GOLDEN_DIR if it is set, so
// that other answers of the same form can be tried, else tests/golden.
inline std::string GoldenFolder() {
  const char* folder = std::getenv("DURE_GOLDEN_DIR");
  return folder != nullptr ? folder : std::string(DURE_SOURCE_DIR) + "/tests/golden";
}

// Every row of NAME in GoldenFolder() by column name.
inline std::vector<Row> ReadGolden(const std::string& name) {
  std::ifstream file(GoldenFolder() + "/" + name);
  std::string line;
  if (!std::getline(file, line)) {
    std::fprintf(stderr, "cannot read %s/%s\n", GoldenFolder().c_str(), name.c_str());
    std::abort();
  }
  std::vector<std::string> header = SplitCsv(line);
  std::vector<Row> rows;
  while (std::getline(file, line)) {
    std::vector<std::string> fields = SplitCsv(line);
    if (fields.size() != header.size()) {
      std::fprintf(stderr, "%s: a row has %zu fields, the header %zu\n", name.c_str(),
                   fields.size(), header.size());
      std::abort();
    }
    Row row;
    for (size_t i = 0; i < header.size(); ++i) row[header[i]] = fields[i];
    rows.push_back(row);
  }
  return rows;
}

inline std::vector<uint8_t> FromHex(const std::string& hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

}  // namespace dure::testing

#endif  // DURE_TESTS_SUPPORT_GOLDEN_H_
