// Files that the approved terms name (federation/attachments.h), in a member's folder:
// NODE/files/SHA256HEX. What is there has been compared with its name. Not thread-safe for one
// folder.
#ifndef DURE_CLIENT_SERVICE_NODE_FILES_H_
#define DURE_CLIENT_SERVICE_NODE_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/service/node.h"
#include "federation/attachments.h"
#include "proto/federation.pb.h"
#include "proto/wire.pb.h"
#include "transport/client.h"

namespace dure {

// Where the file of `attachment` is, once it has been fetched. "" if none is named.
std::string NodeFilePath(const std::string& node_folder, const Attachment& attachment);

// Fetches the files of `spec` that are not in the folder yet, and those in it that are damaged.
// Nothing half-fetched stays. Errors as Fetch and of writing; FailedPrecondition as
// CheckAttachmentsBound.
absl::Status FetchFiles(const FederationSpec& spec, const std::string& node_folder,
                        const FetchSource& source);
// As whoever holds an invitation, and as a member.
FetchSource SourceOf(const Invitation& invitation);
FetchSource SourceOf(const Node& node);

// Removes what `spec` does not name. What cannot be removed stays.
void ForgetOtherFiles(const FederationSpec& spec, const std::string& node_folder);

// For people: a line a file, with its key, name, size and SHA-256; "" without files.
absl::StatusOr<std::string> FilesInWords(const FederationSpec& spec, const FetchSource& source);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_NODE_FILES_H_
