// A federation's folder whose enrolment CA has its key on another machine:
//
//   private/requests/NAME.request   what waits for a signature
//   (coordinator/service/signing_request.h) private/signed/*.pem            certificates that came
//   back, under any name
//
// The two are looked at again each time, so that files may come and go while a coordinator runs.
// What is in there and cannot be understood is passed over. Not thread-safe for one folder.
#ifndef DURE_COORDINATOR_SERVICE_SIGNING_FOLDER_H_
#define DURE_COORDINATOR_SERVICE_SIGNING_FOLDER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/service/signing_request.h"
#include "crypto/ed25519.h"

namespace dure {

// Most files that are looked at in one of the two folders, and most requests that may wait.
inline constexpr size_t kMaxSigningFiles = 4096;

std::string RequestsFolder(const std::string& private_folder);
std::string SignedFolder(const std::string& private_folder);

struct WaitingRequest {
  SigningRequest request;
  std::string path;
};

// Those that wait, by name.
std::vector<WaitingRequest> ListWaiting(const std::string& private_folder);
// The path it is at. ResourceExhausted if kMaxSigningFiles wait already.
absl::StatusOr<std::string> AddWaiting(const std::string& private_folder,
                                       const SigningRequest& request);
// Takes back every request of a member or evaluator of that name; how many there were.
size_t WithdrawWaiting(const std::string& private_folder, const std::string& name);
// Once it has been answered. What cannot be removed stays, and is answered again.
void RemoveWaiting(const WaitingRequest& waiting);

// The certificate, DER, that came back for `key` and ends last, if `ca_der` issued it and it holds
// at `now`.
std::optional<std::string> FindSigned(const std::string& private_folder, const PublicKey& key,
                                      const std::string& ca_der, absl::Time now);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_SIGNING_FOLDER_H_
