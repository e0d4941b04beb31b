#include "transport/token_limit.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace dure {
namespace {

absl::Status Wait(absl::Duration wait) {
  const int64_t seconds =
      std::max<int64_t>(1, absl::ToInt64Seconds(absl::Ceil(wait, absl::Seconds(1))));
  return absl::ResourceExhaustedError(absl::StrCat(
      "too many tokens that this coordinator did not make came from there: try again in ", seconds,
      " s, with the one that the organiser gave you"));
}

}  // namespace

void TokenLimit::RunOut(Bucket* bucket, absl::Duration one_more, absl::Time now) {
  if (now > bucket->newest) {
    bucket->used = std::max(0.0, bucket->used - absl::FDivDuration(now - bucket->newest, one_more));
  }
  bucket->newest = now;
}

absl::Status TokenLimit::Check(const std::string& address, absl::Time now) {
  RunOut(&all_, kOneMoreInAll, now);
  if (all_.used > kBurstInAll - 1) return Wait((all_.used - (kBurstInAll - 1)) * kOneMoreInAll);
  const auto found = addresses_.find(address);
  if (found == addresses_.end()) return absl::OkStatus();
  RunOut(&found->second, kOneMore, now);
  if (found->second.used <= kBurst - 1) return absl::OkStatus();
  return Wait((found->second.used - (kBurst - 1)) * kOneMore);
}

void TokenLimit::Failed(const std::string& address, absl::Time now) {
  RunOut(&all_, kOneMoreInAll, now);
  all_.used += 1;
  if (addresses_.size() >= kMostAddresses && !addresses_.contains(address)) {
    addresses_.erase(std::min_element(
        addresses_.begin(), addresses_.end(),
        [](const auto& a, const auto& b) { return a.second.newest < b.second.newest; }));
  }
  Bucket& bucket = addresses_.try_emplace(address, Bucket{0, now}).first->second;
  RunOut(&bucket, kOneMore, now);
  bucket.used += 1;
}

std::string HostForLimit(std::string_view peer) {
  std::string address = absl::StrReplaceAll(absl::string_view(peer.data(), peer.size()),
                                            {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}});
  const size_t scheme = address.find(':');
  if (scheme == std::string::npos || !address.starts_with("ip")) return address;
  address = address.substr(scheme + 1);
  address = address.substr(0, address.rfind(':'));
  if (!address.starts_with("[")) return address;
  const std::string inside = address.substr(1, address.find_first_of("]%") - 1);
  in6_addr bits{};
  if (inet_pton(AF_INET6, inside.c_str(), &bits) != 1) return address;
  return absl::BytesToHexString({reinterpret_cast<const char*>(bits.s6_addr), 8});
}

}  // namespace dure
