// One function per operation: sizes first, then every array against them. The contract is packages/core/src/kernel-calls.ts.
#include <cstring>

#include "reader.h"

namespace troupe {
namespace {

template <class E>
struct Name {
  const char* name;
  E value;
};
template <class E, size_t N>
E one_of(const Reader& r, const char* name, const Name<E> (&names)[N]) {
  const std::string found = r.text(name);
  std::string all;
  for (const auto& n : names) {
    if (found == n.name) return n.value;
    all += all.empty() ? n.name : std::string(", ") + n.name;
  }
  r.fail(name, "'" + found + "'", "one of " + all);
}

const Name<FillKind> fill_kinds[] = {{"constant", FillKind::constant}, {"uniform", FillKind::uniform}, {"normal", FillKind::normal}, {"truncated-normal", FillKind::truncated_normal}};
const Name<NormKind> norm_kinds[] = {{"rms", NormKind::rms}, {"layer", NormKind::layer}};
const Name<Activation> activations[] = {{"swiglu", Activation::swiglu}, {"gelu", Activation::gelu}, {"gelu-tanh", Activation::gelu_tanh}, {"relu", Activation::relu}};

void require(const Reader& r, bool ok, const char* name, int64_t found, const std::string& expected) {
  if (!ok) r.fail(name, std::to_string(found), expected);
}

FillArgs fill(const Reader& r, CallList&) {
  FillArgs c = {};
  const auto out = r.floats("out", 0);
  c.out = out.data;
  c.length = out.length;
  c.kind = one_of(r, "kind", fill_kinds);
  c.scale = r.number("scale");
  napi_value key = r.get("key"), word;
  for (uint32_t i = 0; i < 2; i++) {
    double value;
    if (napi_get_element(r.env(), key, i, &word) != napi_ok || napi_get_value_double(r.env(), word, &value) != napi_ok) r.fail("key", "not two numbers", "[word, word]");
    c.key[i] = static_cast<uint32_t>(static_cast<int64_t>(value));
  }
  const double first = r.number("firstIndex");
  if (!(first >= 0 && first < 0x1p53)) r.fail("firstIndex", std::to_string(first), "an integer from 0");
  c.first_index = static_cast<int64_t>(first);
  return c;
}

CopyArgs copy(const Reader& r, CallList&) {
  const auto from = r.floats("from", 0);
  const auto out = r.floats("out", 0);
  r.same_length("out", out.length, "from", from.length);
  return {from.data, out.data, from.length};
}

EmbedForwardArgs embed_forward(const Reader& r, CallList&) {
  const int64_t dim = r.size("dim", 1);
  const auto ids = r.ints("ids_T", 0);
  const auto table = r.floats("table_VD", dim);
  return {ids.data, ids.length, table.data, table.length / dim, r.floats("out_TD", ids.length * dim).data, dim};
}

EmbedBackwardArgs embed_backward(const Reader& r, CallList&) {
  const int64_t dim = r.size("dim", 1);
  const auto ids = r.ints("ids_T", 0);
  const ExactSum sum = r.sum("tableSum", -1);
  return {ids.data, ids.length, r.floats("dOut_TD", ids.length * dim).data, sum.length / dim, dim, r.bounds("grainStarts"), sum};
}

NormForwardArgs norm_forward(const Reader& r, CallList&) {
  NormForwardArgs c = {};
  c.kind = one_of(r, "kind", norm_kinds);
  c.rows = r.size("rows");
  c.groups = r.size("groups", 1);
  c.dim = r.size("dim", 1);
  c.eps = r.number("eps");
  c.x = r.const_rows("x", c.rows, c.groups * c.dim);
  c.weight = r.floats("weight", c.dim).data;
  c.bias = r.floats_or_null("bias", c.dim).data;
  c.out = r.rows("out", c.rows, c.groups * c.dim);
  c.stats = r.floats("stats", c.rows * c.groups * (c.kind == NormKind::layer ? 2 : 1)).data;
  return c;
}

NormBackwardArgs norm_backward(const Reader& r, CallList&) {
  NormBackwardArgs c = {};
  c.kind = one_of(r, "kind", norm_kinds);
  c.rows = r.size("rows");
  c.groups = r.size("groups", 1);
  c.dim = r.size("dim", 1);
  const int64_t width = c.groups * c.dim;
  c.x = r.const_rows("x", c.rows, width);
  c.weight = r.floats("weight", c.dim).data;
  c.stats = r.floats("stats", c.rows * c.groups * (c.kind == NormKind::layer ? 2 : 1)).data;
  c.d_out = r.const_rows("dOut", c.rows, width);
  c.dx = r.rows("dx", c.rows, width);
  c.accumulate = r.flag("accumulate");
  c.grains = r.bounds("grainStarts");
  c.weight_sum = r.sum("weightSum", c.dim);
  c.bias_sum = r.sum_or_null("biasSum", c.dim);
  return c;
}

LinearForwardArgs linear_forward(const Reader& r, CallList&) {
  LinearForwardArgs c = {};
  c.rows = r.size("rows");
  c.in_dim = r.size("inDim", 1);
  c.out_dim = r.size("outDim", 1);
  c.x = r.const_rows("x", c.rows, c.in_dim);
  c.weight = r.floats("weight", c.in_dim * c.out_dim).data;
  c.out = r.rows("out", c.rows, c.out_dim);
  c.accumulate = r.flag_or("accumulate", false);
  c.residual = {nullptr, 0};
  if (r.has("residual")) {
    if (c.accumulate) r.fail("residual", "given", "either accumulate or residual");
    c.residual = r.const_rows("residual", c.rows, c.out_dim);
  }
  return c;
}

LinearBackwardInputArgs linear_backward_input(const Reader& r, CallList&) {
  LinearBackwardInputArgs c = {};
  c.rows = r.size("rows");
  c.in_dim = r.size("inDim", 1);
  c.out_dim = r.size("outDim", 1);
  c.d_out = r.const_rows("dOut", c.rows, c.out_dim);
  c.weight = r.floats("weight", c.in_dim * c.out_dim).data;
  c.dx = r.rows("dx", c.rows, c.in_dim);
  c.accumulate = r.flag_or("accumulate", false);
  return c;
}

LinearBackwardWeightArgs linear_backward_weight(const Reader& r, CallList&) {
  LinearBackwardWeightArgs c = {};
  c.rows = r.size("rows");
  c.in_dim = r.size("inDim", 1);
  c.out_dim = r.size("outDim", 1);
  c.d_out = r.const_rows("dOut", c.rows, c.out_dim);
  c.x = r.const_rows("x", c.rows, c.in_dim);
  c.grains = r.bounds("grainStarts");
  c.weight_sum = r.sum("weightSum", c.in_dim * c.out_dim);
  return c;
}

RopeArgs rope(const Reader& r, CallList&) {
  RopeArgs c = {};
  c.rows = r.size("rows");
  c.seq_len = r.size("seqLen", 1);
  c.heads = r.size("heads", 1);
  c.head_dim = r.size("headDim", 2);
  require(r, c.head_dim % 2 == 0, "headDim", c.head_dim, "an even number");
  c.first_position = r.size_or("firstPosition", 0);
  c.x = r.rows("x", c.rows, c.heads * c.head_dim);
  const int64_t positions = c.rows == 0 ? 0 : c.first_position + (c.rows < c.seq_len ? c.rows : c.seq_len);
  c.cos = r.floats("cos_S2", positions * (c.head_dim / 2)).data;
  c.sin = r.floats("sin_S2", positions * (c.head_dim / 2)).data;
  c.inverse = r.flag("inverse");
  return c;
}

template <class Args>
void attention_common(const Reader& r, Args& c) {
  c.batch = r.size("batch");
  c.seq_len = r.size("seqLen");
  c.heads = r.size("heads", 1);
  c.kv_heads = r.size("kvHeads", 1);
  c.head_dim = r.size("headDim", 1);
  require(r, c.heads % c.kv_heads == 0, "heads", c.heads, "a multiple of kvHeads " + std::to_string(c.kv_heads));
  c.scale = static_cast<float>(r.number("scale"));
  const int64_t rows = c.batch * c.seq_len;
  c.q = r.const_rows("q", rows, c.heads * c.head_dim);
  c.k = r.const_rows("k", rows, c.kv_heads * c.head_dim);
  c.v = r.const_rows("v", rows, c.kv_heads * c.head_dim);
  c.first_seen = r.ints_or_null("firstSeen_T", rows).data;
  c.lse = r.floats("lse_TH", rows * c.heads).data;
}

AttentionForwardArgs attention_forward(const Reader& r, CallList&) {
  AttentionForwardArgs c = {};
  attention_common(r, c);
  c.out = r.rows("out", c.batch * c.seq_len, c.heads * c.head_dim);
  return c;
}

AttentionBackwardArgs attention_backward(const Reader& r, CallList&) {
  AttentionBackwardArgs c = {};
  attention_common(r, c);
  const int64_t rows = c.batch * c.seq_len, width = c.heads * c.head_dim, kv_width = c.kv_heads * c.head_dim;
  c.out = r.const_rows("out", rows, width);
  c.d_out = r.const_rows("dOut", rows, width);
  c.dq = r.rows("dq", rows, width);
  c.dk = r.rows("dk", rows, kv_width);
  c.dv = r.rows("dv", rows, kv_width);
  return c;
}

template <class Args>
void gate_common(const Reader& r, Args& c) {
  c.tokens = r.size("tokens");
  c.experts = r.size("experts", 1);
  c.top_k = r.size("topK", 1);
  require(r, c.top_k <= c.experts, "topK", c.top_k, "at most experts " + std::to_string(c.experts));
  c.logits = r.floats("logits_TE", c.tokens * c.experts).data;
  c.valid = r.bytes_or_null("valid_T", c.tokens).data;
}

GateForwardArgs gate_forward(const Reader& r, CallList&) {
  GateForwardArgs c = {};
  gate_common(r, c);
  c.renormalise = r.flag("renormalise");
  c.choices_given = r.flag("choicesGiven");
  c.probs = r.floats("probs_TE", c.tokens * c.experts).data;
  c.choices = r.ints("choices_TK", c.tokens * c.top_k).data;
  c.weights = r.floats("weights_TK", c.tokens * c.top_k).data;
  return c;
}

BalanceForwardArgs balance_forward(const Reader& r, CallList&) {
  BalanceForwardArgs c = {};
  gate_common(r, c);
  c.probs = r.floats("probs_TE", c.tokens * c.experts).data;
  c.choices = r.ints("choices_TK", c.tokens * c.top_k).data;
  c.groups = r.bounds("groupStarts");
  c.fractions = r.floats("fractions_BE", c.groups.count * c.experts).data;
  c.loss_sums = r.int64s("lossSums", 2).data;
  c.counts = r.ints("counts_E", c.experts).data;
  c.prob_sums = r.int64s("probSums_E", c.experts).data;
  return c;
}

GateBackwardArgs gate_backward(const Reader& r, CallList&) {
  GateBackwardArgs c = {};
  gate_common(r, c);
  c.renormalise = r.flag("renormalise");
  c.probs = r.floats("probs_TE", c.tokens * c.experts).data;
  c.choices = r.ints("choices_TK", c.tokens * c.top_k).data;
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

CombineArgs combine(const Reader& r, CallList& list) {
  CombineArgs c = {};
  c.tokens = r.size("tokens");
  c.top_k = r.size("topK", 1);
  c.dim = r.size("dim", 1);
  const auto& parts = rows_parts(r, c.dim, list);
  c.parts = parts.data();
  c.num_parts = static_cast<int64_t>(parts.size());
  c.position = r.ints("position_TK", c.tokens * c.top_k).data;
  c.weights = r.floats_or_null("weights_TK", c.tokens * c.top_k).data;
  c.base = r.floats_or_null("base_TD", c.tokens * c.dim).data;
  c.out = r.floats("out_TD", c.tokens * c.dim).data;
  return c;
}

CombineBackwardWeightsArgs combine_backward_weights(const Reader& r, CallList& list) {
  CombineBackwardWeightsArgs c = {};
  c.tokens = r.size("tokens");
  c.top_k = r.size("topK", 1);
  c.dim = r.size("dim", 1);
  const auto& parts = rows_parts(r, c.dim, list);
  c.parts = parts.data();
  c.num_parts = static_cast<int64_t>(parts.size());
  c.position = r.ints("position_TK", c.tokens * c.top_k).data;
  c.d_out = r.floats("dOut_TD", c.tokens * c.dim).data;
  c.d_weights = r.floats("dWeights_TK", c.tokens * c.top_k).data;
  return c;
}

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

template <class Args>
void experts_common(const Reader& r, Args& c, bool backward, CallList& list) {
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
}

ExpertsForwardArgs experts_forward(const Reader& r, CallList& list) {
  ExpertsForwardArgs c = {};
  experts_common(r, c, false, list);
  const auto saved = r.floats_or_null("saved", 0);
  c.saved = r.has("saved") ? saved.data : nullptr;
  c.saved_rows = saved.length / (hidden_inputs(c.activation) * c.hidden);
  return c;
}

ExpertsBackwardArgs experts_backward(const Reader& r, CallList& list) {
  ExpertsBackwardArgs c = {};
  experts_common(r, c, true, list);
  const auto saved = r.floats("saved", 0);
  c.saved = saved.data;
  c.saved_rows = saved.length / (hidden_inputs(c.activation) * c.hidden);
  c.weight_sum = r.sum("weightSum", (c.experts - 1) * c.expert_stride + (hidden_inputs(c.activation) + 1) * c.dim * c.hidden);
  return c;
}

HeadLossArgs head_loss(const Reader& r, CallList&) {
  HeadLossArgs c = {};
  c.tokens = r.size("tokens");
  c.dim = r.size("dim", 1);
  c.vocab = r.size("vocab", 1);
  c.x = r.floats("x_TD", c.tokens * c.dim).data;
  c.head = r.floats("head_VD", c.vocab * c.dim).data;
  c.targets = r.ints("targets_T", c.tokens).data;
  c.grains = r.bounds("grainStarts");
  c.loss = r.floats("loss_T", c.tokens).data;
  c.loss_sum = r.int64s("lossSum", 1).data;
  c.dx = r.floats_or_null("dx_TD", c.tokens * c.dim).data;
  c.head_sum = r.sum_or_null("headSum", c.vocab * c.dim);
  const bool backward = r.has("dx_TD") || r.has("headSum");
  if (backward && !r.has("gradScale")) r.fail("gradScale", "undefined", "a number, since dx_TD or headSum is given");
  c.grad_scale = backward ? static_cast<float>(r.number("gradScale")) : 0.0f;
  return c;
}

SumAddArgs sum_add(const Reader& r, CallList&) {
  const ExactSum sum = r.sum("sum", -1);
  const auto other = r.int64s("other", 0);
  r.same_length("other", other.length, "sum", sum.length);
  return {sum, other.data, r.number("otherOverflow") != 0};
}

SumResetArgs sum_reset(const Reader& r, CallList&) { return {r.sum("sum", -1)}; }

SumReadArgs sum_read(const Reader& r, CallList&) {
  const auto sum = r.int64s("sum", 0);
  const auto out = r.floats("out", 0);
  r.same_length("out", out.length, "sum", sum.length);
  return {sum.data, out.data, sum.length};
}

SumSquaresArgs sum_squares(const Reader& r, CallList&) {
  const auto sum = r.int64s("sum", 0);
  return {sum.data, sum.length, r.int64s("norm128", 2).data};
}

AdamWArgs adamw(const Reader& r, CallList&) {
  AdamWArgs c = {};
  const auto weights = r.floats("weights", 0);
  const auto out = r.floats("out", 0), m = r.floats("m", 0), v = r.floats("v", 0);
  const auto sum = r.int64s("sum", 0);
  r.same_length("out", out.length, "weights", weights.length);
  r.same_length("m", m.length, "weights", weights.length);
  r.same_length("v", v.length, "weights", weights.length);
  r.same_length("sum", sum.length, "weights", weights.length);
  c.weights = weights.data;
  c.out = out.data;
  c.m = m.data;
  c.v = v.data;
  c.sum = sum.data;
  c.length = weights.length;
  c.grad_scale = r.number("gradScale");
  c.learning_rate = r.number("learningRate");
  c.beta1 = r.number("beta1");
  c.beta2 = r.number("beta2");
  c.eps = r.number("eps");
  c.weight_decay = r.number("weightDecay");
  c.correction1 = r.number("correction1");
  c.correction2 = r.number("correction2");
  return c;
}

/// Operation names: those of TROUPE_ROW_OPS and TROUPE_PRODUCT_OPS with dots for underscores.
void parse(const std::string& op, const Reader& r, CallList& list) {
#define X(function, Args)                                    \
  {                                                          \
    static const std::string name = [] {                     \
      std::string text = #function;                          \
      for (char& c : text) if (c == '_') c = '.';            \
      return text;                                           \
    }();                                                     \
    if (op == name) {                                        \
      list.calls.emplace_back(function(r, list));            \
      return;                                                \
    }                                                        \
  }
  TROUPE_ROW_OPS(X)
  TROUPE_PRODUCT_OPS(X)
#undef X
  r.fail("op", "'" + op + "'", "a kernel of this set");
}

}  // namespace

void parse_call(napi_env env, napi_value call, int64_t index, CallList& list) {
  napi_valuetype type;
  if (napi_typeof(env, call, &type) != napi_ok || type != napi_object) {
    throw ShapeError("call " + std::to_string(index) + " is not an object, expected a kernel call");
  }
  const std::string op = Reader(env, call, "call " + std::to_string(index)).text("op");
  parse(op, Reader(env, call, op + " (call " + std::to_string(index) + ")"), list);
}

}  // namespace troupe
