// What a member has spent and has left, for people and scripts: in its federation, and on its data
// by everybody. Thread-safe: pure functions.
#ifndef DURE_CLIENT_SERVICE_SPENDING_H_
#define DURE_CLIENT_SERVICE_SPENDING_H_

#include <cstdint>

#include "client/data_ledger.h"
#include "client/ledger.h"
#include "client/policy.h"
#include "client/service/data_ledger_file.h"
#include "proto/control.pb.h"
#include "proto/federation.pb.h"

namespace dure {

// Of the data behind `data`, at policy.total_delta.
DataSpending SpentOnData(const DataLedgerFile& data, const Policy& policy);

// epsilon after `charges` attempts of the expected cohort, at the federation's delta; at least what
// `data`, if it is known, says that this membership's charges cost. 0 where nobody is protected.
double SpentInFederation(const FederationSpec& spec, uint32_t charges, const DataSpent* data);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_SPENDING_H_
