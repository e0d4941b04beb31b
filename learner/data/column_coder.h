// The values of a column as numbers, each value kept once. Not thread-safe.
#ifndef DURE_LEARNER_DATA_COLUMN_CODER_H_
#define DURE_LEARNER_DATA_COLUMN_CODER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "learner/data/partition.h"

namespace dure {

class ColumnCoder {
 public:
  // The value of the next record.
  void Add(std::string_view value) {
    auto found = codes_.find(value);
    if (found == codes_.end()) {
      found = codes_.emplace(std::string(value), static_cast<uint32_t>(codes_.size())).first;
    }
    values_.of.push_back(found->second);
  }

  ColumnValues Finish() && {
    std::vector<uint32_t> place(codes_.size());  // by code
    for (const auto& [name, code] : codes_) {
      place[code] = static_cast<uint32_t>(values_.names.size());
      values_.names.push_back(name);
    }
    for (uint32_t& code : values_.of) code = place[code];
    return std::move(values_);
  }

 private:
  std::map<std::string, uint32_t, std::less<>> codes_;
  ColumnValues values_;
};

}  // namespace dure

#endif  // DURE_LEARNER_DATA_COLUMN_CODER_H_
