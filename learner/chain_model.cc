#include "learner/chain_model.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace dure {
namespace {

bool HasParams(const Layer& layer) {
  return std::holds_alternative<Conv2dLayer>(layer) || std::holds_alternative<LinearLayer>(layer);
}

std::vector<uint32_t> ShapeOf(const Extent& extent) {
  if (extent.height == 1 && extent.width == 1) return {extent.channels};
  return {extent.channels, extent.height, extent.width};
}

// Adds what a parameter that is `wanted` long has at the beginning.
absl::Status AddNumbers(const std::vector<float>& value, uint64_t wanted,
                        std::vector<float>* numbers) {
  if (!value.empty() && value.size() != wanted) {
    return absl::FailedPreconditionError("a parameter of another size than its layer");
  }
  numbers->insert(numbers->end(), value.begin(), value.end());
  numbers->resize(numbers->size() + wanted - value.size());
  return absl::OkStatus();
}

// The network of layers [begin, end) of `chain` for what `in` is, with its numbers in place.
absl::StatusOr<std::unique_ptr<Network>> MakeNetwork(const Chain& chain, size_t begin, size_t end,
                                                     const std::vector<uint32_t>& shape, Loss loss,
                                                     std::vector<float>* numbers) {
  DURE_ASSIGN_OR_RETURN(Architecture architecture,
                        ArchitectureOfLayers("torchscript", shape,
                                             {chain.layers.begin() + static_cast<long>(begin),
                                              chain.layers.begin() + static_cast<long>(end)}));
  architecture.loss = loss;
  size_t entry = 0;
  for (size_t i = begin; i < end; ++i) {
    if (!HasParams(chain.layers[i])) continue;
    const Chain::Source& source = chain.sources[i];
    DURE_RETURN_IF_ERROR(
        AddNumbers(source.weight_value, architecture.manifest.params[entry].size(), numbers));
    DURE_RETURN_IF_ERROR(
        AddNumbers(source.bias_value, architecture.manifest.params[entry + 1].size(), numbers));
    entry += 2;
  }
  auto network = std::make_unique<Network>(std::move(architecture));
  network->SetParams(*numbers);
  return network;
}

}  // namespace

struct ChainModel::Workspace final : ModelWorkspace {
  std::unique_ptr<ModelWorkspace> base, rest;
  std::vector<float> features;
  std::vector<float> ordered;    // a direction of rest_ in its manifest's order
  std::vector<float> direction;  // the trained part of it
};

absl::StatusOr<std::unique_ptr<ChainModel>> ChainModel::Create(const Chain& chain,
                                                               const std::vector<uint32_t>& shape,
                                                               const ParamManifest& trained,
                                                               Loss loss) {
  auto model = std::unique_ptr<ChainModel>(new ChainModel);
  model->manifest_ = trained;
  const auto is_trained = [&](const std::string& name) {
    return std::any_of(trained.params.begin(), trained.params.end(),
                       [&](const ParamEntry& entry) { return entry.name == name; });
  };
  size_t first = 0;
  while (first < chain.layers.size() && !is_trained(chain.sources[first].weight) &&
         !is_trained(chain.sources[first].bias)) {
    ++first;
  }
  if (first == chain.layers.size()) {
    return absl::FailedPreconditionError("no layer of the chain is trained");
  }
  const bool has_base =
      std::any_of(chain.layers.begin(), chain.layers.begin() + static_cast<long>(first), HasParams);
  if (!has_base) first = 0;
  std::vector<uint32_t> rest_shape = shape;
  if (has_base) {
    std::vector<float> numbers;
    DURE_ASSIGN_OR_RETURN(model->base_,
                          MakeNetwork(chain, 0, first, shape, ModelSection::MSE, &numbers));
    model->between_ = model->base_->architecture().extents.back();
    rest_shape = ShapeOf(model->between_);
  }
  DURE_ASSIGN_OR_RETURN(model->rest_, MakeNetwork(chain, first, chain.layers.size(), rest_shape,
                                                  loss, &model->numbers_));
  std::map<std::string, Place> places;
  size_t offset = 0, entry = 0;
  const ParamManifest& all = model->rest_->manifest();
  for (size_t i = first; i < chain.layers.size(); ++i) {
    if (!HasParams(chain.layers[i])) continue;
    for (const std::string& name : {chain.sources[i].weight, chain.sources[i].bias}) {
      const Place place = {offset, all.params[entry++].size()};
      offset += place.size;
      if (!name.empty() && !places.try_emplace(name, place).second) {
        return absl::FailedPreconditionError(absl::StrCat(name, " is used twice"));
      }
    }
  }
  for (const ParamEntry& param : trained.params) {
    const auto found = places.find(param.name);
    if (found == places.end() || found->second.size != param.size()) {
      return absl::FailedPreconditionError(absl::StrCat(param.name, " is not in the chain"));
    }
    model->places_.push_back(found->second);
  }
  return model;
}

std::unique_ptr<ModelWorkspace> ChainModel::MakeWorkspace() const {
  auto workspace = std::make_unique<Workspace>();
  if (base_) workspace->base = base_->MakeWorkspace();
  workspace->rest = rest_->MakeWorkspace();
  workspace->ordered.resize(rest_->dim());
  workspace->direction.resize(dim());
  return workspace;
}

void ChainModel::SetParams(std::span<const float> params) {
  DURE_CHECK(params.size() == dim());
  for (const Place& place : places_) {
    std::copy_n(params.begin(), place.size, numbers_.begin() + static_cast<long>(place.offset));
    params = params.subspan(place.size);
  }
  rest_->SetParams(numbers_);
}

FeatureView ChainModel::Features(FeatureView record, Workspace& workspace) const {
  if (!base_) return record;
  const std::span<const float> given = base_->Outputs(record, *workspace.base);
  // The kernels have channels last, records have them first.
  const size_t channels = between_.channels, area = size_t{between_.height} * between_.width;
  workspace.features.resize(given.size());
  for (size_t place = 0; place < area; ++place) {
    for (size_t channel = 0; channel < channels; ++channel) {
      workspace.features[channel * area + place] = given[place * channels + channel];
    }
  }
  return workspace.features;
}

std::span<const float> ChainModel::Direction(FeatureView record, float label,
                                             ModelWorkspace& workspace) const {
  auto& own = static_cast<Workspace&>(workspace);
  const std::span<const float> direction =
      rest_->Direction(Features(record, own), label, *own.rest);
  rest_->ToManifestOrder(direction, std::span(own.ordered));
  float* to = own.direction.data();
  for (const Place& place : places_) {
    to = std::copy_n(own.ordered.begin() + static_cast<long>(place.offset), place.size, to);
  }
  return own.direction;
}

std::span<const float> ChainModel::Outputs(FeatureView record, ModelWorkspace& workspace) const {
  auto& own = static_cast<Workspace&>(workspace);
  return rest_->Outputs(Features(record, own), *own.rest);
}

}  // namespace dure
