#include "cli/federation_files.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/programs.h"
#include "coordinator/service/federation_folder.h"
#include "federation/attachments.h"
#include "learner/data/column_sums.h"
#include "learner/data/table.h"
#include "learner/data/text.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using nlohmann::json;

// What `dure model describe` says of a module fits into this.
constexpr size_t kMaxDescriptionBytes = size_t{16} << 20;

std::string PathOf(const std::string& path, const std::string& file) {
  return (std::filesystem::path(path).parent_path() / file).string();
}

absl::Status Wrong(const std::string& path, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", text));
}

absl::Status CheckVocabulary(const std::string& path, const ModelSection& model) {
  const std::string file = PathOf(path, model.vocabulary());
  DURE_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxVocabularyBytes));
  DURE_ASSIGN_OR_RETURN(const Vocabulary words, Vocabulary::Parse(text, file));
  if (model.input().classes() == words.size() + 1) return absl::OkStatus();
  return Wrong(path, absl::StrCat("model.input.classes is ", model.input().classes(),
                                  ", and the vocabulary has ", words.size(),
                                  " words, which with one for all others are ", words.size() + 1,
                                  ": remove the key, and it is filled in"));
}

absl::Status CheckSchemaFits(const std::string& path, const FederationSpec& spec) {
  const std::string file = PathOf(path, spec.data().schema());
  DURE_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxSchemaFileBytes));
  DURE_ASSIGN_OR_RETURN(const Schema schema, SchemaFromText(text, file));
  if (spec.statistics().enabled()) {
    const absl::StatusOr<ColumnSums> columns = ColumnSums::Create(schema, spec.statistics().bins());
    if (!columns.ok()) {
      return Wrong(path, absl::StrCat("statistics.enabled: ", columns.status().message()));
    }
  }
  const ModelSection& model = spec.model();
  uint64_t size = 1;
  for (uint32_t length : model.input().shape()) size *= length;
  if (size != schema.width()) {
    return Wrong(path,
                 absl::StrCat("model.input.shape is [", absl::StrJoin(model.input().shape(), ", "),
                              "], and records of ", file, " have ", schema.width(),
                              " features: set it to [", schema.width(), "]"));
  }
  if (model.loss() == ModelSection::NEXT_TOKEN) {
    return Wrong(path, "data.schema describes tables, and model.loss = \"next_token\" is for text");
  }
  const bool number = model.loss() == ModelSection::MSE;
  if (number != schema.label.numeric) {
    return Wrong(path,
                 number ? absl::StrCat("model.loss = \"mse\" predicts a number, and the label of ",
                                       file, " has classes: `dure data schema --numeric ",
                                       schema.label.name, "` makes it a number")
                        : absl::StrCat("the label of ", file,
                                       " is a number, which goes with model.loss = \"mse\""));
  }
  const uint32_t classes =
      model.loss() == ModelSection::BCE_WITH_LOGITS ? 2 : model.input().classes();
  if (number || schema.label.classes.size() == classes) return absl::OkStatus();
  return Wrong(path, absl::StrCat("the model has ", classes, " classes, and the label of ", file,
                                  " has ", schema.label.classes.size()));
}

// The module is code of somebody else: the program that looks at it is another one.
absl::Status FillInParameters(const std::string& path, ModelSection* model) {
  DURE_ASSIGN_OR_RETURN(const std::string program, FindProgram("dure-model"));
  DURE_ASSIGN_OR_RETURN(
      const std::string text,
      OutputOf(program, {"describe", PathOf(path, model->torchscript()), "--json"},
               kMaxDescriptionBytes));
  const json described = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto found = described.is_object() ? described.find("parameters") : described.end();
  if (!described.is_object() || found == described.end() || !found->is_number_unsigned() ||
      found->get<uint64_t>() == 0) {
    return Wrong(path, absl::StrCat("model.torchscript: ", model->torchscript(),
                                    " has no parameter that requires a gradient: nothing could be "
                                    "trained"));
  }
  model->set_torchscript_parameters(found->get<uint64_t>());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FederationSpec> ReadOrganisersFile(const std::string& path) {
  DURE_ASSIGN_OR_RETURN(FederationSpec spec, ReadFederationFile(path));
  if (spec.model().has_vocabulary()) DURE_RETURN_IF_ERROR(CheckVocabulary(path, spec.model()));
  if (spec.data().has_schema()) DURE_RETURN_IF_ERROR(CheckSchemaFits(path, spec));
  if (spec.model().has_torchscript() && !spec.model().has_torchscript_parameters()) {
    DURE_RETURN_IF_ERROR(FillInParameters(path, spec.mutable_model()));
  }
  return spec;
}

}  // namespace dure::cli
