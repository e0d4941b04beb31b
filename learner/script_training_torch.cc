// A TorchScript module as a model to train: by the kernels if its forward is a chain of layers that
// they know and they agree with it, otherwise by autograd, one record at a time.
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "learner/autograd_torch.h"
#include "learner/chain_model.h"
#include "learner/forward_torch.h"
#include "learner/guarded_torch.h"
#include "learner/script_state_torch.h"

namespace dure {
namespace {

// Most difference between two ways to the same numbers, as a share of the largest.
constexpr float kTolerance = 1e-4f;
constexpr size_t kTrials = 3;
constexpr absl::Duration kMeasureFor = absl::Milliseconds(300);
constexpr int kMeasureAtMost = 50;

struct ScriptWorkspace final : AutogradWorkspace {
  std::optional<torch::jit::Module> module;
};

class ScriptModel final : public AutogradModel {
 public:
  ScriptModel(ScriptModule module, const ModelSection& section, bool pure)
      : AutogradModel(module.info().trained, section.loss(),
                      {section.input().shape().begin(), section.input().shape().end()},
                      section.input().classes()),
        module_(std::move(module)),
        pure_(pure) {
    SetParams(module_.Params());
  }

  std::unique_ptr<ModelWorkspace> MakeWorkspace() const override {
    return std::make_unique<ScriptWorkspace>();
  }
  void OneByOne() {
    set_block_records(1);
    ForgetTrouble();
  }
  bool is_pure() const { return pure_; }
  ScriptModule& module() const { return module_; }

 private:
  void Refresh(AutogradWorkspace& workspace) const override {
    auto& own = static_cast<ScriptWorkspace&>(workspace);
    // Whatever one call may leave behind must not reach the next.
    if (!own.module || !pure_) {
      own.module = CopyOf(module_.state().module, manifest());
      own.params = ParamsOf(*own.module, manifest());
      own.version = 0;
    }
    AutogradModel::Refresh(workspace);
  }
  at::Tensor Run(const at::Tensor& batch, AutogradWorkspace& workspace) const override {
    // Unoptimised: what the optimiser makes of a graph depends on what has run before.
    torch::jit::GraphOptimizerEnabledGuard as_written(false);
    const c10::IValue out = static_cast<ScriptWorkspace&>(workspace).module->forward({batch});
    if (!out.isTensor()) C10_THROW_ERROR(Error, "it gives something else than a tensor");
    return out.toTensor();
  }

  mutable ScriptModule module_;
  bool pure_;
};

// Made-up records that a model of this section takes; others for every seed.
Dataset MadeUp(const ModelSection& section, size_t size) {
  Dataset data{.shape = {section.input().shape().begin(), section.input().shape().end()}};
  const bool text = section.loss() == ModelSection::NEXT_TOKEN;
  const uint32_t classes = section.input().classes();
  uint32_t state = 1;
  const auto next = [&state] {
    state = state * 1664525 + 1013904223;  // Numerical Recipes; any spread of values will do
    return state >> 8;
  };
  for (size_t i = 0; i < kTrials; ++i) {
    for (size_t j = 0; j < size; ++j) {
      data.numbers.push_back(text ? static_cast<float>(next() % classes)
                                  : static_cast<float>(next()) * 0x1p-24f);
    }
    data.labels.push_back(static_cast<float>(i % std::max(2u, classes)));
  }
  if (text) data.shape = {static_cast<uint32_t>(size)};
  return data;
}

size_t RecordSize(const ModelSection& section) {
  size_t size = 1;
  for (uint32_t side : section.input().shape()) size *= side;
  return section.loss() == ModelSection::NEXT_TOKEN ? size + 1 : size;
}

float Difference(std::span<const float> a, std::span<const float> b) {
  float largest = 1e-12f, difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max({largest, std::abs(a[i]), std::abs(b[i])});
    const float one = std::abs(a[i] - b[i]);
    difference = one <= difference ? difference : one;  // what is no number stays
  }
  return difference / largest;
}

// Whether a few records at once give what they give one by one. Nothing where the batch fails.
bool BatchesAsOneByOne(const AutogradModel& model, const Dataset& data, ModelWorkspace& workspace) {
  std::vector<float> one_by_one(model.dim()), at_once(model.dim());
  std::vector<uint32_t> records;
  for (uint32_t i = 0; i < kTrials; ++i) records.push_back(i);
  model.TrainableModel::AddDirections(data, records, one_by_one, workspace);
  model.AddDirections(data, records, at_once, workspace);
  return Difference(one_by_one, at_once) <= kTolerance;
}

bool ChainAgrees(const TrainableModel& chain, const TrainableModel& model, const Dataset& data) {
  const auto fast = chain.MakeWorkspace(), slow = model.MakeWorkspace();
  for (uint32_t i = 0; i < kTrials; ++i) {
    const auto theirs = model.Outputs(data.Record(i), *slow);
    const auto ours = chain.Outputs(data.Record(i), *fast);
    if (ours.size() != theirs.size() || !(Difference(ours, theirs) <= kTolerance)) return false;
    if (!(Difference(chain.Direction(data.Record(i), data.labels[i], *fast),
                     model.Direction(data.Record(i), data.labels[i], *slow)) <= kTolerance)) {
      return false;
    }
  }
  return true;
}

double RecordsASecond(const TrainableModel& model, const Dataset& data, ModelWorkspace& workspace) {
  const absl::Time begin = absl::Now();
  int done = 0;
  do {
    model.Direction(data.Record(done % kTrials), data.labels[done % kTrials], workspace);
    ++done;
  } while (done < kMeasureAtMost && absl::Now() - begin < kMeasureFor);
  return done / std::max(1e-9, absl::ToDoubleSeconds(absl::Now() - begin));
}

std::string SpeedNote(double rate) {
  return absl::StrFormat("%.*f records a second on one thread", rate < 10 ? 1 : 0, rate);
}

absl::Status CheckFacts(const GraphFacts& facts, const std::string& name) {
  if (!facts.draws_random.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " cannot be trained: it draws random numbers (", facts.draws_random,
        "), so that a gradient would not be a function of the record alone: call eval() on it "
        "before it is traced, or leave them out"));
  }
  if (facts.batch_norm_of_batch) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " cannot be trained: ", WhyNoBatchNorm("as it was traced")));
  }
  return absl::OkStatus();
}

std::vector<std::string> NotesOf(const ScriptInfo& info, const std::string& name) {
  std::vector<std::string> notes;
  if (!info.frozen.params.empty() || !info.buffers.params.empty()) {
    notes.push_back(absl::StrCat(name, ": ", info.trained.dim(),
                                 " numbers are trained and travel; ", info.frozen.dim(),
                                 " that require no gradient and ", info.buffers.dim(),
                                 " in buffers stay as they are in the file"));
  }
  return notes;
}

}  // namespace

absl::StatusOr<ScriptTraining> MakeScriptTraining(ScriptModule module, const ModelSection& section,
                                                  const std::string& name) {
  DURE_RETURN_IF_ERROR(CheckTrainable(module.info(), name));
  const ScriptInfo info = module.info();
  if (info.trained.dim() != section.torchscript_parameters()) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " has ", info.trained.dim(), " numbers to train, the federation file says ",
        section.torchscript_parameters(), " (model.torchscript_parameters)"));
  }
  std::vector<at::Tensor> trained = ParamsOf(module.state().module, info.trained);
  for (size_t i = 0; i < trained.size(); ++i) {
    if (trained[i].scalar_type() != at::kFloat) {
      return absl::FailedPreconditionError(absl::StrCat(
          name, " cannot be trained: ", info.trained.params[i].name, " is not float32"));
    }
    for (size_t j = 0; j < i; ++j) {
      if (trained[i].data_ptr() != trained[j].data_ptr()) continue;
      return absl::FailedPreconditionError(
          absl::StrCat(name, " cannot be trained: ", info.trained.params[j].name, " and ",
                       info.trained.params[i].name, " are the same numbers under two names"));
    }
  }
  absl::StatusOr<GraphFacts> facts =
      Guarded(absl::StatusCode::kFailedPrecondition, absl::StrCat(name, " cannot be analysed"),
              [&]() -> absl::StatusOr<GraphFacts> { return ReadGraph(module.state().module); });
  // Freezing does not take every module; what it cannot judge is treated with care.
  if (!facts.ok()) facts = GraphFacts();
  DURE_RETURN_IF_ERROR(CheckFacts(*facts, name));

  ScriptTraining training{.notes = NotesOf(info, name)};
  const Dataset data = MadeUp(section, RecordSize(section));
  auto model = std::make_unique<ScriptModel>(std::move(module), section, facts->pure);
  const auto workspace = model->MakeWorkspace();
  const auto direction = model->Direction(data.Record(0), data.labels[0], *workspace);
  if (!model->trouble().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " cannot be trained: on a made-up record ", model->trouble()));
  }
  const std::vector<float> first(direction.begin(), direction.end());
  if (!BatchesAsOneByOne(*model, data, *workspace)) model->OneByOne();
  const auto again = model->Direction(data.Record(0), data.labels[0], *workspace);
  if (!std::equal(first.begin(), first.end(), again.begin(), again.end()) &&
      std::all_of(first.begin(), first.end(), [](float value) { return std::isfinite(value); })) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " cannot be trained: it gives another gradient for the same record every time"));
  }
  if (facts->chain) {
    auto chain = ChainModel::Create(
        *facts->chain, {section.input().shape().begin(), section.input().shape().end()},
        info.trained, section.loss());
    if (chain.ok() && (*chain)->classes() == section.input().classes()) {
      (*chain)->SetParams(model->module().Params());
      if (ChainAgrees(**chain, *model, data)) {
        training.model = *std::move(chain);
        return training;
      }
    }
  }
  const double rate = RecordsASecond(*model, data, *workspace);
  training.notes.push_back(absl::StrCat(
      name,
      " has layers without kernels of their own: LibTorch computes gradients record by "
      "record, ",
      SpeedNote(rate),
      model->is_pure() ? ""
                       : ", as it may keep something from one record to the next and is copied "
                         "for each"));
  training.model = std::move(model);
  return training;
}

}  // namespace dure
