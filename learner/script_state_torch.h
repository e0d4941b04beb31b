// Inside of learner/script_torch.h: the module, and what its graph says.
#ifndef DURE_LEARNER_SCRIPT_STATE_TORCH_H_
#define DURE_LEARNER_SCRIPT_STATE_TORCH_H_

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/api/module.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "learner/chain_model.h"
#include "learner/script_torch.h"

namespace dure {

struct ScriptModule::State {
  torch::jit::Module module;  // in evaluation mode
  ScriptInfo info;
  std::map<std::string, std::string> metadata;
};

// The parameters named in `manifest`, in its order.
std::vector<at::Tensor> ParamsOf(const torch::jit::Module& module, const ParamManifest& manifest);
// A module of its own: every tensor is copied, and those that are trained ask for gradients.
torch::jit::Module CopyOf(const torch::jit::Module& module, const ParamManifest& trained);

// The reason and the remedy; `where` names the layer.
std::string WhyNoBatchNorm(const std::string& where);

// What a member should know of the graph of `forward`, which was inlined with everything but
// parameters as constants.
struct GraphFacts {
  // Whether no node can change anything that outlives a call. Otherwise each record needs a module
  // as it was.
  bool pure = false;
  std::string draws_random;  // a node that does, by name; or ""
  bool batch_norm_of_batch = false;
  std::optional<Chain> chain;
};
// Throws what LibTorch throws.
GraphFacts ReadGraph(const torch::jit::Module& module);

}  // namespace dure

#endif  // DURE_LEARNER_SCRIPT_STATE_TORCH_H_
