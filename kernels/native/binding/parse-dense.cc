// Arguments of everything that a dense model also has: rows, linear layers, attention, head, sums, optimizer.
#include "parse.h"

namespace troupe {
namespace parsers {
namespace {

const Name<FillKind> fill_kinds[] = {{"constant", FillKind::constant}, {"uniform", FillKind::uniform}, {"normal", FillKind::normal}, {"truncated-normal", FillKind::truncated_normal}};
const Name<NormKind> norm_kinds[] = {{"rms", NormKind::rms}, {"layer", NormKind::layer}};
}  // namespace

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
  const GradientTarget target = r.target("tableSum", -1);
  return {ids.data, ids.length, r.floats("dOut_TD", ids.length * dim).data, target.length / dim, dim, r.bounds("grainStarts"), target};
}

namespace {
/// All of the call that forward and backward share.
template <class Args>
Args norm_common(const Reader& r) {
  Args c = {};
  c.kind = one_of(r, "kind", norm_kinds);
  c.rows = r.size("rows");
  c.groups = r.size("groups", 1);
  c.dim = r.size("dim", 1);
  c.x = r.const_rows("x", c.rows, c.groups * c.dim);
  c.weight = r.floats("weight", c.dim).data;
  c.stats = r.floats("stats", c.rows * c.groups * (c.kind == NormKind::layer ? 2 : 1)).data;
  return c;
}
}  // namespace

NormForwardArgs norm_forward(const Reader& r, CallList&) {
  auto c = norm_common<NormForwardArgs>(r);
  c.eps = r.number("eps");
  c.bias = r.floats_or_null("bias", c.dim).data;
  c.out = r.rows("out", c.rows, c.groups * c.dim, true);
  return c;
}

NormBackwardArgs norm_backward(const Reader& r, CallList&) {
  auto c = norm_common<NormBackwardArgs>(r);
  c.d_out = r.const_rows("dOut", c.rows, c.groups * c.dim);
  c.dx = r.rows("dx", c.rows, c.groups * c.dim);
  c.accumulate = r.flag("accumulate");
  c.grains = r.bounds("grainStarts");
  c.weight_sum = r.target("weightSum", c.dim);
  c.bias_sum = r.target_or_none("biasSum", c.dim);
  return c;
}

namespace {
template <class Args>
Args linear_common(const Reader& r) {
  Args c = {};
  c.rows = r.size("rows");
  c.in_dim = r.size("inDim", 1);
  c.out_dim = r.size("outDim", 1);
  c.precision = r.precision();
  return c;
}
}  // namespace

LinearForwardArgs linear_forward(const Reader& r, CallList&) {
  auto c = linear_common<LinearForwardArgs>(r);
  c.x = r.operand_rows("x", c.rows, c.in_dim, c.precision);
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
  auto c = linear_common<LinearBackwardInputArgs>(r);
  c.d_out = r.const_rows("dOut", c.rows, c.out_dim);
  c.weight = r.floats("weight", c.in_dim * c.out_dim).data;
  c.dx = r.rows("dx", c.rows, c.in_dim);
  c.accumulate = r.flag_or("accumulate", false);
  return c;
}

LinearBackwardWeightArgs linear_backward_weight(const Reader& r, CallList&) {
  auto c = linear_common<LinearBackwardWeightArgs>(r);
  c.d_out = r.const_rows("dOut", c.rows, c.out_dim);
  c.x = r.operand_rows("x", c.rows, c.in_dim, c.precision);
  c.grains = r.bounds("grainStarts");
  c.weight_sum = r.target("weightSum", c.in_dim * c.out_dim);
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

namespace {
template <class Args>
Args attention_common(const Reader& r) {
  Args c = {};
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
  return c;
}
}  // namespace

AttentionForwardArgs attention_forward(const Reader& r, CallList&) {
  auto c = attention_common<AttentionForwardArgs>(r);
  c.out = r.rows("out", c.batch * c.seq_len, c.heads * c.head_dim);
  return c;
}

AttentionBackwardArgs attention_backward(const Reader& r, CallList&) {
  auto c = attention_common<AttentionBackwardArgs>(r);
  const int64_t rows = c.batch * c.seq_len, width = c.heads * c.head_dim, kv_width = c.kv_heads * c.head_dim;
  c.out = r.const_rows("out", rows, width);
  c.d_out = r.const_rows("dOut", rows, width);
  c.dq = r.rows("dq", rows, width);
  c.dk = r.rows("dk", rows, kv_width);
  c.dv = r.rows("dv", rows, kv_width);
  return c;
}

HeadLossArgs head_loss(const Reader& r, CallList&) {
  HeadLossArgs c = {};
  c.tokens = r.size("tokens");
  c.dim = r.size("dim", 1);
  c.vocab = r.size("vocab", 1);
  c.precision = r.precision();
  if (c.precision == Precision::bf16 && r.is_halves("x_TD")) c.x_halves = r.halves("x_TD", c.tokens * c.dim).data;
  else c.x = r.floats("x_TD", c.tokens * c.dim).data;
  c.head = r.floats("head_VD", c.vocab * c.dim).data;
  c.targets = r.ints("targets_T", c.tokens).data;
  c.grains = r.bounds("grainStarts");
  c.loss = r.floats("loss_T", c.tokens).data;
  c.loss_sum = r.int64s("lossSum", 2).data;
  c.dx = r.floats_or_null("dx_TD", c.tokens * c.dim).data;
  c.head_sum = r.target_or_none("headSum", c.vocab * c.dim);
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
  const ConstGradient gradient = r.gradient("gradient");
  return {gradient, r.int64s("norm128", 2).data};
}

AdamWArgs adamw(const Reader& r, CallList&) {
  AdamWArgs c = {};
  const auto weights = r.floats("weights", 0);
  const auto same = [&](const char* name, const auto& array) {
    r.same_length(name, array.length, "weights", weights.length);
    return array.data;
  };
  c.out = same("out", r.floats("out", 0));
  c.m = same("m", r.floats("m", 0));
  c.v = same("v", r.floats("v", 0));
  c.gradient = r.gradient("gradient");
  r.same_length("gradient", c.gradient.length, "weights", weights.length);
  c.weights = weights.data;
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

}  // namespace parsers
}  // namespace troupe
