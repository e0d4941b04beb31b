#include "coordinator/service/published_models.h"

#include <utility>

#include "base/status_macros.h"

namespace dure {
namespace {

// That of the attempt under way, that of the one before, and what evaluators measure.
constexpr size_t kKeptModels = 4;

}  // namespace

absl::Status PublishedModels::Publish(const Digest& sha256, const std::string& model,
                                      const std::string& state) {
  if (Find(sha256) != nullptr) return absl::OkStatus();
  DURE_ASSIGN_OR_RETURN(NamelessFile file, NamelessFile::Create(folder_));
  DURE_RETURN_IF_ERROR(file.Append(AsBytes(model)));
  DURE_RETURN_IF_ERROR(file.Append(AsBytes(state)));
  models_.push_back({sha256, std::move(file)});
  if (models_.size() > kKeptModels) models_.pop_front();
  return absl::OkStatus();
}

const ByteSource* PublishedModels::Find(const Digest& sha256) const {
  for (const Model& model : models_) {
    if (model.sha256 == sha256) return &model.file;
  }
  return nullptr;
}

}  // namespace dure
