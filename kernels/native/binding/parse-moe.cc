// Arguments of routing, permutation and experts.
#include "parse.h"

namespace troupe {
namespace parsers {
namespace {

const Name<Activation> activations[] = {
    {"swiglu", Activation::swiglu}, {"gelu", Activation::gelu}, {"gelu-tanh", Activation::gelu_tanh}, {"relu", Activation::relu}};
}  // namespace

namespace {
/// Sizes, logits and what follows from them. Also what gate.forward writes: the other two read it.
template <class Args>
Args gate_common(const Reader& r) {
  Args args = {};
  args.tokens = r.size("tokens");
  args.experts = r.size("experts", 1);
  args.top_k = r.size("topK", 1);
  require(r, args.top_k <= args.experts, "topK", args.top_k, "at most experts " + std::to_string(args.experts));
  args.logits = r.floats("logits_TE", args.tokens * args.experts).data;
  args.valid = r.bytes_or_null("valid_T", args.tokens).data;
  args.probs = r.floats("probs_TE", args.tokens * args.experts).data;
  args.choices = r.ints("choices_TK", args.tokens * args.top_k).data;
  args.scores = router_scores_or_softmax(r);
  return args;
}
}  // namespace

GateForwardArgs gate_forward(const Reader& r, CallList&) {
  auto args = gate_common<GateForwardArgs>(r);
  args.renormalise = r.flag("renormalise");
  args.choices_given = r.flag("choicesGiven");
  args.weights = r.floats("weights_TK", args.tokens * args.top_k).data;
  args.scale = static_cast<float>(r.number_or("scale", 1.0));
  args.bias = r.floats_or_null("bias_E", args.experts).data;
  args.expert_groups = r.size_or("expertGroups", 1);
  args.top_groups = r.size_or("topGroups", args.expert_groups);
  require(r, args.expert_groups > 0 && args.experts % args.expert_groups == 0, "expertGroups", args.expert_groups,
          "a divisor of experts " + std::to_string(args.experts));
  require(r, args.top_groups > 0 && args.top_groups <= args.expert_groups, "topGroups", args.top_groups,
          "1 to expertGroups " + std::to_string(args.expert_groups));
  const int64_t kept = args.experts / args.expert_groups * args.top_groups;
  require(r, args.choices_given || args.top_k <= kept, "topK", args.top_k, "at most the experts of topGroups, " + std::to_string(kept));
  return args;
}

BiasCountArgs bias_count(const Reader& r, CallList&) {
  BiasCountArgs args = {};
  args.tokens = r.size("tokens");
  args.experts = r.size("experts", 1);
  args.top_k = r.size("topK", 1);
  args.choices = r.ints("choices_TK", args.tokens * args.top_k).data;
  args.valid = r.bytes_or_null("valid_T", args.tokens).data;
  args.sum = r.target("sum", args.experts);
  if (args.sum.stored) r.fail("sum", "a gradient in floats", "an exact sum");
  return args;
}

BiasStepArgs bias_step(const Reader& r, CallList&) {
  const auto sum = r.int64s("sum", 0);
  const auto bias = r.floats("bias", 0), out = r.floats("out", 0);
  r.same_length("bias", bias.length, "sum", sum.length);
  r.same_length("out", out.length, "sum", sum.length);
  return {bias.data, out.data, sum.data, sum.length, static_cast<float>(r.number("rate"))};
}

ThresholdCountArgs threshold_count(const Reader& r, CallList&) {
  ThresholdCountArgs args = {};
  args.experts = r.size("experts", 1);
  args.prob_sums = r.int64s("probSums_E", args.experts).data;
  args.num_groups = r.int64s("numGroups", 1).data;
  args.sum = r.target("sum", 2 * args.experts);
  if (args.sum.stored) r.fail("sum", "a gradient in floats", "an exact sum");
  return args;
}

ThresholdStepArgs threshold_step(const Reader& r, CallList&) {
  const auto sum = r.int64s("sum", 0);
  const auto thresholds = r.floats("thresholds", 0), out = r.floats("out", 0);
  r.same_length("thresholds", thresholds.length, "sum", sum.length);
  r.same_length("out", out.length, "sum", sum.length);
  require(r, sum.length % 2 == 0, "sum", sum.length, "an even number of elements");
  return {thresholds.data, out.data, sum.data, sum.length, r.number("fresh")};
}

BalanceForwardArgs balance_forward(const Reader& r, CallList&) {
  auto args = gate_common<BalanceForwardArgs>(r);
  args.groups = r.bounds("groupStarts");
  args.fractions = r.floats("fractions_BE", args.groups.count * args.experts).data;
  args.loss_sums = r.int64s("lossSums", 4).data;
  args.counts = r.ints("counts_E", args.experts).data;
  args.prob_sums = r.int64s("probSums_E", 2 * args.experts).data;
  return args;
}

GateBackwardArgs gate_backward(const Reader& r, CallList&) {
  auto args = gate_common<GateBackwardArgs>(r);
  args.renormalise = r.flag("renormalise");
  args.weights = r.floats("weights_TK", args.tokens * args.top_k).data;
  args.d_weights = r.floats("dWeights_TK", args.tokens * args.top_k).data;
  args.groups = r.bounds("groupStarts");
  args.fractions_global = r.flag("fractionsGlobal");
  args.fractions = r.floats("fractions", (args.fractions_global ? 1 : args.groups.count) * args.experts).data;
  args.aux_scale = r.number("auxScale");
  args.z_scale = r.number("zScale");
  args.d_logits = r.floats("dLogits_TE", args.tokens * args.experts).data;
  args.scale = static_cast<float>(r.number_or("scale", 1.0));
  return args;
}

RoutePlanArgs route_plan(const Reader& r, CallList&) {
  RoutePlanArgs args = {};
  args.tokens = r.size("tokens");
  args.experts = r.size("experts", 1);
  args.top_k = r.size("topK", 1);
  args.ranks = r.size("ranks", 1);
  args.rank_of = r.ints("rankOf_E", args.experts).data;
  const int64_t choices = args.tokens * args.top_k;
  args.choices = r.ints("choices_TK", choices).data;
  args.grains = r.bounds("grainStarts");
  args.counts = r.ints("counts_EG", args.experts * args.grains.count).data;
  args.position = r.ints("position_TK", choices).data;
  args.slots = r.ints("slots_N", choices).data;
  args.choice_of_row = r.ints("choiceOfRow_N", choices).data;
  args.rank_tokens = r.ints("rankTokens", args.ranks * args.tokens).data;
  args.num_tokens = r.ints("numTokens_R", args.ranks).data;
  args.num_rows = r.ints("numRows_R", args.ranks).data;
  return args;
}

GatherArgs gather(const Reader& r, CallList&) {
  const int64_t rows = r.size("rows"), dim = r.size("dim", 1);
  const auto x = r.floats("x", 0);
  return {rows, dim, x.data, x.length / dim, r.ints("index", rows).data, r.floats("out", rows * dim).data};
}

GatherScalarsArgs gather_scalars(const Reader& r, CallList&) {
  const int64_t count = r.size("count");
  const auto values = r.floats("values", 0);
  return {count, values.data, values.length, r.ints("index", count).data, r.floats("out", count).data};
}

namespace {
const std::vector<RowsPart>& rows_parts(const Reader& r, int64_t dim, CallList& list) {
  list.parts.emplace_back();
  std::vector<RowsPart>& parts = list.parts.back();
  const uint32_t count = length_of(r, "parts");
  for (uint32_t i = 0; i < count; i++) {
    const Reader part = element(r, "parts", i);
    const int64_t first = part.size("firstRow"), rows = part.size("rows");
    parts.push_back({first, rows, part.floats("data", rows * dim).data});
  }
  return parts;
}

template <class Args>
Args combine_common(const Reader& r, CallList& list) {
  Args args = {};
  args.tokens = r.size("tokens");
  args.top_k = r.size("topK", 1);
  args.dim = r.size("dim", 1);
  const auto& parts = rows_parts(r, args.dim, list);
  args.parts = parts.data();
  args.num_parts = static_cast<int64_t>(parts.size());
  args.position = r.ints("position_TK", args.tokens * args.top_k).data;
  return args;
}
}  // namespace

CombineArgs combine(const Reader& r, CallList& list) {
  auto args = combine_common<CombineArgs>(r, list);
  args.weights = r.floats_or_null("weights_TK", args.tokens * args.top_k).data;
  args.base = r.floats_or_null("base_TD", args.tokens * args.dim).data;
  args.out = r.floats("out_TD", args.tokens * args.dim).data;
  return args;
}

CombineBackwardWeightsArgs combine_backward_weights(const Reader& r, CallList& list) {
  auto args = combine_common<CombineBackwardWeightsArgs>(r, list);
  args.d_out = r.floats("dOut_TD", args.tokens * args.dim).data;
  args.d_weights = r.floats("dWeights_TK", args.tokens * args.top_k).data;
  return args;
}

namespace {
/// What a call does with the experts: rows forwards, their gradients backwards, or the weights' gradients alone.
enum class Direction { forward, backward, weights };

/// Rows of a source that its arrays have room for; the counts are checked against it when the call runs.
const std::vector<ExpertSource>& expert_sources(const Reader& r, int64_t experts, int64_t dim, Direction direction, CallList& list) {
  list.sources.emplace_back();
  std::vector<ExpertSource>& sources = list.sources.back();
  const uint32_t count = length_of(r, "sources");
  for (uint32_t i = 0; i < count; i++) {
    const Reader source = element(r, "sources", i);
    ExpertSource s = {};
    s.num_grains = source.size("numGrains");
    s.counts = source.ints("counts_EG", experts * s.num_grains).data;
    const auto x = source.floats("x_UD", 0);
    s.x = x.data;
    s.num_tokens = x.length / dim;
    s.capacity = INT64_MAX;
    if (direction != Direction::weights) {
      const auto out = source.floats(direction == Direction::forward ? "y_ND" : "dx_ND", 0);
      s.capacity = out.length / dim;
      (direction == Direction::forward ? s.y : s.dx) = out.data;
    }
    if (direction != Direction::forward) {
      const auto d_out = source.floats("dOut_UD", 0);
      s.d_out = d_out.data;
      if (d_out.length / dim < s.num_tokens) s.num_tokens = d_out.length / dim;
      const auto weights = source.floats_or_null("rowWeights_N", 0);
      s.row_weights = weights.data;
      if (source.has("rowWeights_N") && weights.length < s.capacity) s.capacity = weights.length;
    }
    const auto slots = source.ints_or_null("slots_N", 0);
    s.slots = slots.data;
    // A zero-length typed array may have no address; then there are no rows either.
    const int64_t rows = source.has("slots_N") ? slots.length : s.num_tokens;
    if (rows < s.capacity) s.capacity = rows;
    sources.push_back(s);
  }
  return sources;
}

/// All directions; `saved` is optional in the forward one.
template <class Args>
Args experts_common(const Reader& r, Direction direction, CallList& list) {
  Args args = {};
  args.experts = r.size("experts", 1);
  args.dim = r.size("dim", 1);
  args.hidden = r.size("hidden", 1);
  args.activation = one_of(r, "activation", activations);
  const int64_t one = (hidden_inputs(args.activation) + 1) * args.dim * args.hidden;
  args.expert_stride = r.size("expertStride");
  require(r, args.expert_stride >= one, "expertStride", args.expert_stride, "at least the size of an expert, " + std::to_string(one));
  args.precision = r.precision();
  args.weights = r.weights("weights", (args.experts - 1) * args.expert_stride + one, args.precision);
  const auto& sources = expert_sources(r, args.experts, args.dim, direction, list);
  args.sources = sources.data();
  args.num_sources = static_cast<int64_t>(sources.size());
  args.accumulate = r.flag_or("accumulate", false);
  if (direction == Direction::forward && !r.has("saved")) return args;
  int64_t saved = 0;
  if (args.precision == Precision::bf16) {
    const auto halves = r.halves("saved", 0);
    args.saved_halves = halves.data;
    saved = halves.length;
  } else {
    const auto floats = r.floats("saved", 0);
    args.saved = floats.data;
    saved = floats.length;
  }
  args.saved_rows = saved / (hidden_inputs(args.activation) * args.hidden);
  return args;
}
}  // namespace

ExpertsForwardArgs experts_forward(const Reader& r, CallList& list) {
  return experts_common<ExpertsForwardArgs>(r, Direction::forward, list);
}

namespace {
void weight_sum(const Reader& r, ExpertsBackwardArgs& args) {
  args.weight_sum =
      r.target("weightSum", (args.experts - 1) * args.expert_stride + (hidden_inputs(args.activation) + 1) * args.dim * args.hidden);
}
/// What one half of the backward pass leaves for the other.
void shared_by_halves(const Reader& r, ExpertsBackwardArgs& args) {
  int64_t length;
  if (args.precision == Precision::bf16) {
    const auto halves = r.halves("dSaved", 0);
    args.d_saved_halves = halves.data;
    length = halves.length;
  } else {
    const auto floats = r.floats("dSaved", 0);
    args.d_saved = floats.data;
    length = floats.length;
  }
  const int64_t rows = length / (hidden_inputs(args.activation) * args.hidden);
  if (rows < args.saved_rows) args.saved_rows = rows;
}
}  // namespace

ExpertsBackwardArgs experts_backward(const Reader& r, CallList& list) {
  auto args = experts_common<ExpertsBackwardArgs>(r, Direction::backward, list);
  weight_sum(r, args);
  return args;
}

ExpertsBackwardInputArgs experts_backward_input(const Reader& r, CallList& list) {
  auto args = experts_common<ExpertsBackwardInputArgs>(r, Direction::backward, list);
  args.half = BackwardHalf::input;
  shared_by_halves(r, args);
  return args;
}

ExpertsBackwardWeightArgs experts_backward_weight(const Reader& r, CallList& list) {
  auto args = experts_common<ExpertsBackwardWeightArgs>(r, Direction::weights, list);
  args.half = BackwardHalf::weight;
  shared_by_halves(r, args);
  weight_sum(r, args);
  return args;
}

}  // namespace parsers
}  // namespace troupe
