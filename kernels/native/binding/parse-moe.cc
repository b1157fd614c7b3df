// Arguments of routing, permutation and experts.
#include "parse.h"

namespace troupe {
namespace parsers {
namespace {

const Name<Activation> activations[] = {{"swiglu", Activation::swiglu}, {"gelu", Activation::gelu}, {"gelu-tanh", Activation::gelu_tanh}, {"relu", Activation::relu}};
}  // namespace

namespace {
/// Sizes, logits and what follows from them. Also what gate.forward writes: the other two read it.
template <class Args>
Args gate_common(const Reader& r) {
  Args c = {};
  c.tokens = r.size("tokens");
  c.experts = r.size("experts", 1);
  c.top_k = r.size("topK", 1);
  require(r, c.top_k <= c.experts, "topK", c.top_k, "at most experts " + std::to_string(c.experts));
  c.logits = r.floats("logits_TE", c.tokens * c.experts).data;
  c.valid = r.bytes_or_null("valid_T", c.tokens).data;
  c.probs = r.floats("probs_TE", c.tokens * c.experts).data;
  c.choices = r.ints("choices_TK", c.tokens * c.top_k).data;
  return c;
}
}  // namespace

GateForwardArgs gate_forward(const Reader& r, CallList&) {
  auto c = gate_common<GateForwardArgs>(r);
  c.renormalise = r.flag("renormalise");
  c.choices_given = r.flag("choicesGiven");
  c.weights = r.floats("weights_TK", c.tokens * c.top_k).data;
  return c;
}

BalanceForwardArgs balance_forward(const Reader& r, CallList&) {
  auto c = gate_common<BalanceForwardArgs>(r);
  c.groups = r.bounds("groupStarts");
  c.fractions = r.floats("fractions_BE", c.groups.count * c.experts).data;
  c.loss_sums = r.int64s("lossSums", 4).data;
  c.counts = r.ints("counts_E", c.experts).data;
  c.prob_sums = r.int64s("probSums_E", 2 * c.experts).data;
  return c;
}

GateBackwardArgs gate_backward(const Reader& r, CallList&) {
  auto c = gate_common<GateBackwardArgs>(r);
  c.renormalise = r.flag("renormalise");
  c.weights = r.floats("weights_TK", c.tokens * c.top_k).data;
  c.d_weights = r.floats("dWeights_TK", c.tokens * c.top_k).data;
  c.groups = r.bounds("groupStarts");
  c.fractions_global = r.flag("fractionsGlobal");
  c.fractions = r.floats("fractions", (c.fractions_global ? 1 : c.groups.count) * c.experts).data;
  c.aux_scale = r.number("auxScale");
  c.z_scale = r.number("zScale");
  c.d_logits = r.floats("dLogits_TE", c.tokens * c.experts).data;
  return c;
}

RoutePlanArgs route_plan(const Reader& r, CallList&) {
  RoutePlanArgs c = {};
  c.tokens = r.size("tokens");
  c.experts = r.size("experts", 1);
  c.top_k = r.size("topK", 1);
  c.ranks = r.size("ranks", 1);
  require(r, c.experts % c.ranks == 0, "experts", c.experts, "a multiple of ranks " + std::to_string(c.ranks));
  const int64_t choices = c.tokens * c.top_k;
  c.choices = r.ints("choices_TK", choices).data;
  c.grains = r.bounds("grainStarts");
  c.counts = r.ints("counts_EG", c.experts * c.grains.count).data;
  c.position = r.ints("position_TK", choices).data;
  c.slots = r.ints("slots_N", choices).data;
  c.choice_of_row = r.ints("choiceOfRow_N", choices).data;
  c.rank_tokens = r.ints("rankTokens", c.ranks * c.tokens).data;
  c.num_tokens = r.ints("numTokens_R", c.ranks).data;
  c.num_rows = r.ints("numRows_R", c.ranks).data;
  return c;
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
uint32_t length_of(const Reader& r, const char* name) {
  bool is_array = false;
  uint32_t length = 0;
  const napi_value value = r.get(name);
  napi_is_array(r.env(), value, &is_array);
  if (!is_array) r.fail(name, "not an array", "an array");
  napi_get_array_length(r.env(), value, &length);
  return length;
}
/// Element i of an array of objects.
Reader element(const Reader& r, const char* name, uint32_t i) {
  napi_value value;
  napi_valuetype type = napi_undefined;
  const std::string path = std::string(name) + "[" + std::to_string(i) + "]";
  if (napi_get_element(r.env(), r.get(name), i, &value) != napi_ok || napi_typeof(r.env(), value, &type) != napi_ok || type != napi_object) {
    r.fail(path.c_str(), "no object", "an object");
  }
  return r.nested(path, value);
}

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
  Args c = {};
  c.tokens = r.size("tokens");
  c.top_k = r.size("topK", 1);
  c.dim = r.size("dim", 1);
  const auto& parts = rows_parts(r, c.dim, list);
  c.parts = parts.data();
  c.num_parts = static_cast<int64_t>(parts.size());
  c.position = r.ints("position_TK", c.tokens * c.top_k).data;
  return c;
}
}  // namespace

CombineArgs combine(const Reader& r, CallList& list) {
  auto c = combine_common<CombineArgs>(r, list);
  c.weights = r.floats_or_null("weights_TK", c.tokens * c.top_k).data;
  c.base = r.floats_or_null("base_TD", c.tokens * c.dim).data;
  c.out = r.floats("out_TD", c.tokens * c.dim).data;
  return c;
}

CombineBackwardWeightsArgs combine_backward_weights(const Reader& r, CallList& list) {
  auto c = combine_common<CombineBackwardWeightsArgs>(r, list);
  c.d_out = r.floats("dOut_TD", c.tokens * c.dim).data;
  c.d_weights = r.floats("dWeights_TK", c.tokens * c.top_k).data;
  return c;
}

namespace {
/// Rows of a source that its arrays have room for; the counts are checked against it when the call runs.
const std::vector<ExpertSource>& expert_sources(const Reader& r, int64_t experts, int64_t dim, bool backward, CallList& list) {
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
    const auto out = source.floats(backward ? "dx_ND" : "y_ND", 0);
    s.capacity = out.length / dim;
    if (backward) {
      s.dx = out.data;
      const auto d_out = source.floats("dOut_UD", 0);
      s.d_out = d_out.data;
      if (d_out.length / dim < s.num_tokens) s.num_tokens = d_out.length / dim;
      const auto weights = source.floats_or_null("rowWeights_N", 0);
      s.row_weights = weights.data;
      if (source.has("rowWeights_N") && weights.length < s.capacity) s.capacity = weights.length;
    } else {
      s.y = out.data;
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

/// Both directions; `saved` is optional in the forward one.
template <class Args>
Args experts_common(const Reader& r, bool backward, CallList& list) {
  Args c = {};
  c.experts = r.size("experts", 1);
  c.dim = r.size("dim", 1);
  c.hidden = r.size("hidden", 1);
  c.activation = one_of(r, "activation", activations);
  const int64_t one = (hidden_inputs(c.activation) + 1) * c.dim * c.hidden;
  c.expert_stride = r.size("expertStride");
  require(r, c.expert_stride >= one, "expertStride", c.expert_stride, "at least the size of an expert, " + std::to_string(one));
  c.weights = r.floats("weights", (c.experts - 1) * c.expert_stride + one).data;
  const auto& sources = expert_sources(r, c.experts, c.dim, backward, list);
  c.sources = sources.data();
  c.num_sources = static_cast<int64_t>(sources.size());
  c.accumulate = r.flag_or("accumulate", false);
  c.precision = r.precision();
  if (!backward && !r.has("saved")) return c;
  int64_t saved = 0;
  if (c.precision == Precision::bf16) {
    const auto halves = r.halves("saved", 0);
    c.saved_halves = halves.data;
    saved = halves.length;
  } else {
    const auto floats = r.floats("saved", 0);
    c.saved = floats.data;
    saved = floats.length;
  }
  c.saved_rows = saved / (hidden_inputs(c.activation) * c.hidden);
  return c;
}
}  // namespace

ExpertsForwardArgs experts_forward(const Reader& r, CallList& list) { return experts_common<ExpertsForwardArgs>(r, false, list); }

ExpertsBackwardArgs experts_backward(const Reader& r, CallList& list) {
  auto c = experts_common<ExpertsBackwardArgs>(r, true, list);
  c.weight_sum = r.target("weightSum", (c.experts - 1) * c.expert_stride + (hidden_inputs(c.activation) + 1) * c.dim * c.hidden);
  return c;
}

}  // namespace parsers
}  // namespace troupe
