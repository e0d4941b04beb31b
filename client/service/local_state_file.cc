#include "client/service/local_state_file.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/service/node.h"

namespace dure {
namespace {

absl::Status Forget(const std::string& path) {
  std::error_code error;
  std::filesystem::remove(path, error);
  if (!error) return absl::OkStatus();
  return ErrnoStatus(error.value(), absl::StrCat("cannot remove ", path));
}

}  // namespace

std::string LocalStatePath(const std::string& node_folder) {
  return PrivateFolder(node_folder) + "/local-state";
}

absl::StatusOr<LocalState> ReadLocalState(const std::string& node_folder,
                                          const FederationSpec& spec, const ModelParts& parts) {
  const std::string path = LocalStatePath(node_folder);
  if (FileIsMissing(path)) return LocalState();
  if (!spec.local().control_variates() && !parts.has_personal()) {
    DURE_RETURN_IF_ERROR(Forget(path));
    return LocalState();
  }
  DURE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxLocalStateBytes));
  absl::StatusOr<SavedLocalState> saved = DecodeLocalState(bytes);
  absl::Status status = saved.status();
  if (status.ok() && saved->model != LocalStateModel(spec)) {
    DURE_RETURN_IF_ERROR(Forget(path));
    return LocalState();
  }
  if (status.ok()) status = CheckLocalState(saved->state, parts);
  if (!status.ok()) {
    return absl::DataLossError(absl::StrCat(
        path, " is damaged (", status.message(),
        "): put a copy back, or remove it, and this member begins anew with its control variate "
        "and the layers that stay with it"));
  }
  // What the terms had once and have no more.
  if (!spec.local().control_variates()) saved->state.control.clear();
  return std::move(saved->state);
}

absl::Status WriteLocalState(const std::string& node_folder, const FederationSpec& spec,
                             const LocalState& state) {
  return WriteFileAtomic(LocalStatePath(node_folder),
                         EncodeLocalState(state, LocalStateModel(spec)), 0600);
}

}  // namespace dure
