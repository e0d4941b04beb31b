// How spending is shown: by `dure policy show` and `dure client status`. Thread-safe: pure
// functions.
#ifndef DURE_CLI_SPENDING_TEXT_H_
#define DURE_CLI_SPENDING_TEXT_H_

#include <cstdint>
#include <string>

#include "nlohmann/json_fwd.hpp"
#include "proto/control.pb.h"
#include "proto/federation.pb.h"

namespace dure::cli {

struct FederationSpending {
  std::string federation;
  PrivacySection::Unit unit = PrivacySection::RECORD;
  bool secure_aggregation = true;
  double epsilon = 0;
  double max_epsilon = 0;
  double delta = 0;
  uint32_t charges = 0;
};

// Lines for people, each with its newline.
std::string FederationSpendingText(const FederationSpending& spending);
std::string DataSpendingText(const DataSpending& spending);

nlohmann::ordered_json SpendingToJson(const DataSpending& spending);

}  // namespace dure::cli

#endif  // DURE_CLI_SPENDING_TEXT_H_
