// An organiser's folder:
//
//   federation.toml             the terms, and beside them the files that they name
//   model/initial.safetensors   the weights that the run starts from
//   private/                    keys and certificates of the enrolment CA and of the coordinator,
//                               and the socket that a running coordinator is asked through (0700);
//                               without ca.key the CA signs on another machine
//                               (coordinator/service/signing_folder.h)
//   state/                      coordinator/service/store.h
//
// Functions here read and write those files; not thread-safe for one folder.
#ifndef DURE_COORDINATOR_SERVICE_FEDERATION_FOLDER_H_
#define DURE_COORDINATOR_SERVICE_FEDERATION_FOLDER_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "crypto/digest.h"
#include "crypto/ed25519.h"
#include "crypto/random.h"
#include "federation/attachments.h"
#include "federation/model_file.h"
#include "proto/federation.pb.h"

namespace dure {

inline constexpr uint64_t kMaxInitialModelBytes = uint64_t{1} << 36;

// How long certificates hold.
inline constexpr absl::Duration kCaValidity = absl::Hours(24 * 3650);
inline constexpr absl::Duration kCoordinatorValidity = absl::Hours(24 * 730);
inline constexpr absl::Duration kMemberValidity = absl::Hours(24 * 365);
// Certificates begin this long before they are made, for clocks that are a little behind.
inline constexpr absl::Duration kClockTolerance = absl::Minutes(5);

struct FederationFolder {
  std::string folder;
  FederationSpec spec;
  Digest spec_digest{};
  std::optional<SigningKey> ca_key;  // absent: it is on another machine
  std::string ca_certificate;  // DER
  SigningKey key;              // the coordinator's
  std::string certificate;     // DER
};

// AlreadyExists, with the remedy, for a folder that has a federation.
absl::Status HasFederationAlready(const std::string& folder);

// Writes federation.toml and makes keys and certificates; the files that it names are there
// already. AlreadyExists if the folder has a
// federation.
absl::StatusOr<FederationFolder> MakeFederationFolder(const std::string& folder,
                                                      const FederationSpec& spec, absl::Time now,
                                                      Random& random);

// The same for an enrolment CA whose key is elsewhere: `ca_certificate` is its certificate. The
// coordinator's certificate is asked for; the path of that request.
absl::StatusOr<std::string> MakeFederationFolderWithoutCaKey(const std::string& folder,
                                                             const FederationSpec& spec,
                                                             const std::string& ca_certificate,
                                                             absl::Time now, Random& random);

// NotFound, with the remedy, if there is no federation in `folder`; InvalidArgument for a mistake
// in federation.toml; DataLoss, naming the file, for damaged keys or certificates.
// FailedPrecondition, with the remedy, if the coordinator's certificate was asked for and has not
// come back; one that is in private/signed is put in its place.
absl::StatusOr<FederationFolder> ReadFederationFolder(const std::string& folder);

// NotFound, with the remedy, if there is no federation in `folder`.
absl::Status ExpectFederation(const std::string& folder);

// The spec alone, with what the files that it names say (federation/attachments.h).
// InvalidArgument for every mistake in the file.
absl::StatusOr<FederationSpec> ReadFederationFile(const std::string& path);

// The files that its terms name, open and compared with their digests. FailedPrecondition if one
// has changed since the terms were read.
absl::StatusOr<std::map<Digest, OpenAttachment>> OpenFiles(const FederationFolder& federation);

// The initial weights, self-describing. FailedPrecondition, with the remedy, if they are missing or
// of another model than the spec's.
absl::StatusOr<ModelFile> ReadInitialModel(const std::string& folder, const FederationSpec& spec);

std::string InitialModelPath(const std::string& folder);
inline std::string FederationFilePath(const std::string& folder) {
  return folder + "/federation.toml";
}
inline std::string FederationPrivateFolder(const std::string& folder) {
  return folder + "/private";
}

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_FEDERATION_FOLDER_H_
