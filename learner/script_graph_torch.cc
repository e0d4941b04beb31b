// What the graph of a TorchScript module says: whether it keeps anything from call to call, whether
// it draws random numbers, and whether it is a chain of layers that the kernels know.
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/freeze_module.h>

#include <functional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "learner/forward_torch.h"
#include "learner/guarded_torch.h"
#include "learner/script_state_torch.h"

namespace dure {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

std::string KindOf(const Node& node) { return node.kind().toQualString(); }

void ForEachNode(const Block* block, const std::function<void(const Node&)>& visit) {
  for (const Node* node : block->nodes()) {
    visit(*node);
    for (const Block* inner : node->blocks()) ForEachNode(inner, visit);
  }
}

std::optional<c10::IValue> Constant(const Value* value) {
  auto constant = torch::jit::toIValue(value);
  if (!constant) return std::nullopt;
  return *constant;
}

bool IsDropout(const std::string& kind) { return kind.find("dropout") != std::string::npos; }

// Whether a dropout is on: its last input but in evaluation mode is a constant that says no.
bool DropoutIsOff(const Node& node) {
  if (node.inputs().size() < 3) return false;
  const auto training = Constant(node.inputs()[2]);
  return training && training->isBool() && !training->toBool();
}

// Whether a value was made in this call and is nobody else's: changing it in place is harmless.
bool IsFresh(const Value* value) {
  const Node* node = value->node();
  const std::string kind = KindOf(*node);
  if (kind == "prim::ListConstruct") return true;
  if (IsDropout(kind)) return !node->inputs().empty() && IsFresh(node->inputs()[0]);
  const auto* schema = node->maybeSchema();
  if (schema == nullptr || schema->returns().size() != 1) return false;
  if (schema->is_mutable()) return !node->inputs().empty() && IsFresh(node->inputs()[0]);
  return schema->returns()[0].alias_info() == nullptr;
}

// Nodes of the language itself that neither keep nor reach anything.
bool IsHarmlessPrim(const std::string& kind) {
  static const std::set<std::string> kHarmless = {"prim::Constant",
                                                  "prim::GetAttr",
                                                  "prim::ListConstruct",
                                                  "prim::ListUnpack",
                                                  "prim::TupleIndex",
                                                  "prim::TupleUnpack",
                                                  "prim::TupleConstruct",
                                                  "prim::If",
                                                  "prim::Loop",
                                                  "prim::NumToTensor",
                                                  "prim::Return",
                                                  "prim::RaiseException",
                                                  "prim::dtype",
                                                  "prim::device",
                                                  "prim::layout",
                                                  "prim::unchecked_cast",
                                                  "prim::Uninitialized",
                                                  "prim::min",
                                                  "prim::max",
                                                  "prim::shape"};
  return kHarmless.count(kind) > 0;
}

bool IsPure(const Node& node) {
  const std::string kind = KindOf(node);
  if (kind.rfind("prim::", 0) == 0) return IsHarmlessPrim(kind);
  const auto* schema = node.maybeSchema();
  if (schema == nullptr || kind.rfind("aten::", 0) != 0) return false;
  return !schema->is_mutable() || (!node.inputs().empty() && IsFresh(node.inputs()[0]));
}

// "fc1.weight" if `value` is that attribute of the module.
std::string NameOf(const Value* value, const Value* self) {
  std::string name;
  while (value != self) {
    const Node* node = value->node();
    if (node->kind() != c10::prim::GetAttr) return "";
    name = node->s(c10::attr::name) + (name.empty() ? "" : ".") + name;
    value = node->inputs()[0];
  }
  return name;
}

// Reads a chain of layers off a graph; the first node that is none of them ends it without one.
class ChainReader {
 public:
  ChainReader(const torch::jit::Module& module, const Graph& graph)
      : module_(module), graph_(graph), self_(graph.inputs()[0]) {}

  std::optional<Chain> Read() {
    if (graph_.inputs().size() != 2 || graph_.outputs().size() != 1) return std::nullopt;
    flowing_ = graph_.inputs()[1];
    for (const Node* node : graph_.nodes()) {
      if (!Take(*node)) return std::nullopt;
    }
    if (graph_.outputs()[0] != flowing_ || chain_.layers.empty()) return std::nullopt;
    return std::move(chain_);
  }

 private:
  bool Take(const Node& node) {
    const std::string kind = KindOf(node);
    if (kind == "prim::Constant" || kind == "prim::GetAttr" || kind == "prim::ListConstruct" ||
        kind == "prim::NumToTensor" || kind == "aten::Int") {
      return true;
    }
    if (node.inputs().empty() || node.inputs()[0] != flowing_) return false;
    if (kind == "aten::size") return true;  // for a view, which is checked
    if (node.outputs().size() != 1) return false;
    const bool taken = TakeLayer(node, kind);
    flowing_ = node.output();
    return taken;
  }

  bool TakeLayer(const Node& node, const std::string& kind) {
    if (kind == "aten::conv2d" || kind == "aten::_convolution") return TakeConv(node, kind);
    if (kind == "aten::linear") return TakeLinear(node);
    if (kind == "aten::max_pool2d") return TakePool(node);
    if (kind == "aten::relu" || kind == "aten::relu_") return Add(ReluLayer{});
    if (kind == "aten::tanh" || kind == "aten::tanh_") return Add(TanhLayer{});
    if (IsDropout(kind)) return DropoutIsOff(node);
    if (kind == "aten::flatten") {
      flat_ = true;
      return Number(node, 1) == 1 && Number(node, 2) == -1;
    }
    if (kind == "aten::view" || kind == "aten::reshape") return TakeView(node);
    return false;
  }

  // Into rows: two sizes, of which the second is what is left or a number.
  bool TakeView(const Node& node) {
    flat_ = true;
    const Node* list = node.inputs()[1]->node();
    if (KindOf(*list) == "prim::ListConstruct") return list->inputs().size() == 2;
    const auto sizes = Constant(node.inputs()[1]);
    return sizes && sizes->isIntList() && sizes->toIntVector().size() == 2 &&
           sizes->toIntVector()[0] == -1;
  }

  bool TakeConv(const Node& node, const std::string& kind) {
    const std::vector<int64_t> stride = Numbers(node, 3), padding = Numbers(node, 4),
                               dilation = Numbers(node, 5);
    const bool of_trace = kind == "aten::_convolution";
    if (of_trace) {
      const auto transposed = Constant(node.inputs()[6]);
      if (!transposed || !transposed->isBool() || transposed->toBool()) return false;
    }
    if (Number(node, of_trace ? 8 : 6) != 1 || !Same(stride, 1) || !Same(padding, 0) ||
        !Same(dilation, 1) || dilation[0] != 1) {
      return false;
    }
    const std::optional<at::Tensor> weight = TensorOf(node.inputs()[1]);
    if (!weight || weight->dim() != 4 || weight->size(2) != weight->size(3)) return false;
    Conv2dLayer conv{.name = absl::StrCat("layer", chain_.layers.size()),
                     .out = static_cast<uint32_t>(weight->size(0)),
                     .kernel = static_cast<uint32_t>(weight->size(2)),
                     .stride = static_cast<uint32_t>(stride[0]),
                     .padding = static_cast<uint32_t>(padding[0])};
    return !flat_ && AddWithParams(std::move(conv), node, *weight);
  }

  bool TakeLinear(const Node& node) {
    const std::optional<at::Tensor> weight = TensorOf(node.inputs()[1]);
    if (!weight || weight->dim() != 2) return false;
    LinearLayer linear{.name = absl::StrCat("layer", chain_.layers.size()),
                       .out = static_cast<uint32_t>(weight->size(0))};
    flat_ = true;
    return AddWithParams(std::move(linear), node, *weight);
  }

  bool TakePool(const Node& node) {
    const std::vector<int64_t> kernel = Numbers(node, 1);
    std::vector<int64_t> stride = Numbers(node, 2);
    if (stride.empty()) stride = kernel;
    const auto ceil = Constant(node.inputs()[5]);
    if (flat_ || !Same(kernel, 1) || !Same(stride, 1) || Numbers(node, 3) != Twice(0) ||
        Numbers(node, 4) != Twice(1) || !ceil || !ceil->isBool() || ceil->toBool()) {
      return false;
    }
    return Add(MaxPoolLayer{.kernel = static_cast<uint32_t>(kernel[0]),
                            .stride = static_cast<uint32_t>(stride[0])});
  }

  template <typename L>
  bool Add(L layer) {
    chain_.layers.emplace_back(std::move(layer));
    chain_.sources.emplace_back();
    return true;
  }

  template <typename L>
  bool AddWithParams(L layer, const Node& node, const at::Tensor& weight) {
    Add(std::move(layer));
    Chain::Source& source = chain_.sources.back();
    source.weight = NameOf(node.inputs()[1], self_);
    source.weight_value = ToVector(weight);
    const auto none = Constant(node.inputs()[2]);
    if (none && none->isNone()) return true;
    const std::optional<at::Tensor> bias = TensorOf(node.inputs()[2]);
    if (!bias) return false;
    source.bias = NameOf(node.inputs()[2], self_);
    source.bias_value = ToVector(*bias);
    return true;
  }

  // A parameter of the module, or a constant.
  std::optional<at::Tensor> TensorOf(const Value* value) const {
    const auto constant = Constant(value);
    if (constant) {
      if (!constant->isTensor()) return std::nullopt;
      return constant->toTensor();
    }
    const std::string wanted = NameOf(value, self_);
    for (const auto& param : module_.named_parameters()) {
      if (!wanted.empty() && param.name == wanted) return param.value;
    }
    return std::nullopt;
  }

  static std::vector<int64_t> Twice(int64_t number) { return {number, number}; }
  // Two equal numbers of at least `least`.
  static bool Same(const std::vector<int64_t>& numbers, int64_t least) {
    return numbers.size() == 2 && numbers[0] == numbers[1] && numbers[0] >= least &&
           numbers[0] <= 1024;
  }
  static std::vector<int64_t> Numbers(const Node& node, size_t input) {
    const auto constant = Constant(node.inputs()[input]);
    if (!constant || !constant->isIntList()) return {};
    return constant->toIntVector();
  }
  static std::optional<int64_t> Number(const Node& node, size_t input) {
    const auto constant = Constant(node.inputs()[input]);
    if (!constant || !constant->isInt()) return std::nullopt;
    return constant->toInt();
  }

  const torch::jit::Module& module_;
  const Graph& graph_;
  const Value* self_;
  const Value* flowing_ = nullptr;
  bool flat_ = false;
  Chain chain_;
};

}  // namespace

GraphFacts ReadGraph(const torch::jit::Module& module) {
  // Inlined, everything but parameters folded into constants.
  const torch::jit::Module frozen = torch::jit::freeze_module(module, {}, true, true);
  const std::shared_ptr<Graph> graph = frozen.get_method("forward").graph();
  GraphFacts facts{.pure = true};
  ForEachNode(graph->block(), [&](const Node& node) {
    const std::string kind = KindOf(node);
    facts.pure = facts.pure && IsPure(node);
    const bool random = IsDropout(kind) ? !DropoutIsOff(node) : node.isNondeterministic();
    if (random && facts.draws_random.empty()) facts.draws_random = kind;
    if (kind == "aten::batch_norm") {
      const auto training = Constant(node.inputs()[5]);
      facts.batch_norm_of_batch |= !training || !training->isBool() || training->toBool();
    }
  });
  facts.chain = ChainReader(frozen, *graph).Read();
  return facts;
}

}  // namespace dure
