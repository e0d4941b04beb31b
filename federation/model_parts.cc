#include "federation/model_parts.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace dure {
namespace {

std::string NamesOf(const ParamManifest& manifest) {
  return absl::StrJoin(manifest.params, ", ", [](std::string* out, const ParamEntry& param) {
    absl::StrAppend(out, param.name);
  });
}

}  // namespace

bool MatchesPattern(std::string_view pattern, std::string_view name) {
  size_t at = 0, star = std::string_view::npos, resume = 0;
  size_t i = 0;
  while (i < name.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      resume = i;
    } else if (at < pattern.size() && pattern[at] == name[i]) {
      ++at;
      ++i;
    } else if (star != std::string_view::npos) {
      // The last star takes one character more.
      at = star + 1;
      i = ++resume;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

ModelParts::ModelParts(ParamManifest whole)
    : whole_(std::move(whole)), travelling_(whole_), is_personal_(whole_.params.size()) {}

absl::StatusOr<ModelParts> ModelParts::Create(ParamManifest whole, const ModelSection& model) {
  ModelParts parts(std::move(whole));
  if (model.personal_size() > 0 && model.architecture() == ModelSection::OWN) {
    return absl::FailedPreconditionError(
        "model.personal goes with the architectures that are built in: what the parameters of a "
        "model of one's own are called, only its trainer program knows; remove model.personal");
  }
  if (model.personal_size() > 0 && model.architecture() == ModelSection::TORCHSCRIPT) {
    return absl::FailedPreconditionError(
        "model.personal goes with the architectures that are built in: what the parameters of a "
        "TorchScript module are called is known only behind a sandbox; give those that shall stay "
        "as they are requires_grad = False, or remove model.personal");
  }
  for (const std::string& pattern : model.personal()) {
    bool found = false;
    for (size_t i = 0; i < parts.whole_.params.size(); ++i) {
      if (!MatchesPattern(pattern, parts.whole_.params[i].name)) continue;
      found = true;
      parts.is_personal_[i] = true;
    }
    if (!found) {
      return absl::FailedPreconditionError(absl::StrCat("model.personal: \"", pattern,
                                                        "\" matches no parameter; there are ",
                                                        NamesOf(parts.whole_)));
    }
  }
  parts.travelling_.params.clear();
  for (size_t i = 0; i < parts.whole_.params.size(); ++i) {
    (parts.is_personal_[i] ? parts.personal_ : parts.travelling_)
        .params.push_back(parts.whole_.params[i]);
  }
  if (parts.travelling_.params.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("model.personal matches every parameter, and nothing would travel: leave some "
                     "out of ",
                     NamesOf(parts.whole_)));
  }
  return parts;
}

std::vector<float> ModelParts::Part(std::span<const float> whole, bool personal) const {
  DURE_CHECK(whole.size() == whole_.dim());
  std::vector<float> part;
  part.reserve((personal ? personal_ : travelling_).dim());
  const float* at = whole.data();
  for (size_t i = 0; i < whole_.params.size(); ++i) {
    const float* const end = at + whole_.params[i].size();
    if (is_personal_[i] == personal) part.insert(part.end(), at, end);
    at = end;
  }
  return part;
}

std::vector<float> ModelParts::Travelling(std::span<const float> whole) const {
  return Part(whole, false);
}

std::vector<float> ModelParts::Personal(std::span<const float> whole) const {
  return Part(whole, true);
}

std::vector<float> ModelParts::Join(std::span<const float> travelling,
                                    std::span<const float> personal) const {
  DURE_CHECK(travelling.size() == travelling_.dim() && personal.size() == personal_.dim());
  std::vector<float> whole;
  whole.reserve(travelling.size() + personal.size());
  for (size_t i = 0; i < whole_.params.size(); ++i) {
    std::span<const float>& from = is_personal_[i] ? personal : travelling;
    const auto values = from.first(whole_.params[i].size());
    whole.insert(whole.end(), values.begin(), values.end());
    from = from.subspan(values.size());
  }
  return whole;
}

absl::StatusOr<ModelParts> PartsOf(const ModelSection& model) {
  DURE_ASSIGN_OR_RETURN(ParamManifest whole, BuiltInManifest(model));
  return ModelParts::Create(std::move(whole), model);
}

}  // namespace dure
