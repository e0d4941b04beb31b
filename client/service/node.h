// A member's folder on its own machine:
//
//   membership.json   who the member is and where the coordinator listens
//   federation.toml   the terms that were approved
//   ca.pem coordinator.pem member.pem   certificates
//   private/member.key                  the identity; never leaves (0600)
//   data.json         the registered data, and its identity (client/service/data_identity.h)
//   policy.json       limits of the member's own, which the coordinator cannot lower
//   members-HEX.list  the list of members that policy.json names by its digest, if it names one
//   files/            those that the terms name, by digest (client/service/node_files.h)
//   private/local-state  what this member keeps from round to round (client/local_state.h)
//   evidence/         what proves that somebody contradicted itself (docs/formats/evidence.md)
//   offered.toml      terms that the coordinator asks for now, not approved yet
//   ledger            what has been spent (client/ledger.h)
//
// Functions here read and write those files; not thread-safe for one folder.
#ifndef DURE_CLIENT_SERVICE_NODE_H_
#define DURE_CLIENT_SERVICE_NODE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/policy.h"
#include "client/service/data_identity.h"
#include "client/service/policy_file.h"
#include "crypto/digest.h"
#include "crypto/ed25519.h"
#include "proto/federation.pb.h"
#include "proto/wire.pb.h"

namespace dure {

// Largest of the small files of a node, in bytes.
inline constexpr uint64_t kMaxNodeFileBytes = 1 << 16;

struct Membership {
  std::string address;  // of the coordinator, HOST:PORT
  std::string name;
  std::string organisation;
  Role role = MEMBER;
};

struct Node {
  std::string folder;
  Membership membership;
  FederationSpec spec;
  Digest spec_digest{};
  std::string ca_certificate;           // DER
  std::string coordinator_certificate;  // DER, pinned when joining
  std::string certificate;              // DER
  SigningKey key;
  Policy policy;
  PolicyOrigins origins;                         // of `policy`; empty: those of just approved terms
  std::optional<std::string> data_folder;        // absolute path
  std::optional<DataRegistration> registration;  // absent: registered by an older dure
};

// Whether `folder` is a member's already.
bool IsNode(const std::string& folder);

// A membership is written in two steps, because its certificate costs the token, and a disk that is
// full must not: first everything that is known before, with room reserved for the rest. It is no
// node yet. FailedPrecondition if the folder is a node already, or holds the ledger of one.
absl::Status PrepareNode(const Node& node);
// Then the certificate and, last, membership.json: from here on it is a node.
absl::Status FinishNode(const Node& node);
// Takes back what PrepareNode has written; folders only if nothing else is in them. Nothing if it
// is a node, or holds the ledger of one.
void ForgetPreparedNode(const std::string& folder);

// NotFound, with the remedy, if `folder` is no node; DataLoss, naming the file, if a file of it
// cannot be understood.
absl::StatusOr<Node> ReadNode(const std::string& folder);

absl::Status WriteDataFolder(const std::string& node_folder, const std::string& data_folder,
                             const std::optional<DataRegistration>& registration = std::nullopt);
// The limits that hold while nobody has set any.
LimitsFile DefaultLimitsOf(const Node& node);
// Reads policy.json again, and the list of members that it names. DataLoss, naming the file, if one
// of them cannot be understood or the list is another one.
absl::StatusOr<LimitsFile> ReadPolicy(const Node& node);
absl::Status WritePolicy(const std::string& node_folder, const LimitsFile& limits);
// Puts a list, or none, in the place of the one that `limits` has, and writes policy.json. What
// was there stays as long as this can fail.
absl::Status WriteMemberList(const std::string& node_folder, std::optional<MemberList> list,
                             absl::Time now, LimitsFile* limits);

// Registers what lies in `data_folder`, which has been read as `data`: makes its ledger below
// `root` and writes data.json. Errors as DataLedgerFile::Register.
absl::Status RegisterData(const std::string& node_folder, const std::string& data_folder,
                          const Dataset& data, const std::string& root);
// The identity of the data that the node has registered, read again if a file was touched since.
// FailedPrecondition, with the remedy, if it has changed.
absl::StatusOr<Digest> CheckRegistration(const Node& node, const std::string& root);

// Terms that the coordinator offers in place of those approved, kept until somebody decides.
absl::Status WriteOfferedTerms(const std::string& node_folder, const FederationSpec& spec);
// Nothing if there are none.
absl::StatusOr<std::optional<FederationSpec>> ReadOfferedTerms(const std::string& node_folder);
// Replaces the approved terms; the limits first, so that a crash in between leaves the old terms.
absl::Status ApproveTerms(const Node& node, const FederationSpec& spec, const LimitsFile& limits);
absl::Status ForgetOfferedTerms(const std::string& node_folder);

inline std::string CaPath(const std::string& node_folder) { return node_folder + "/ca.pem"; }
inline std::string EvidenceFolder(const std::string& node_folder) {
  return node_folder + "/evidence";
}
inline std::string PolicyPath(const std::string& node_folder) {
  return node_folder + "/policy.json";
}
inline std::string LedgerPath(const std::string& node_folder) { return node_folder + "/ledger"; }
inline std::string PrivateFolder(const std::string& node_folder) {
  return node_folder + "/private";
}

inline std::string MemberCertificatePath(const std::string& node_folder) {
  return node_folder + "/member.pem";
}

inline std::string MemberKeyPath(const std::string& node_folder) {
  return PrivateFolder(node_folder) + "/member.key";
}

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_NODE_H_
