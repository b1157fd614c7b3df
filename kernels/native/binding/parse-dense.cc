// Arguments of everything that a dense model also has: rows, linear layers, attention, head, sums, optimizer.
#include "parse.h"
#include "relative-buckets.h"

namespace troupe {
namespace parsers {
namespace {

const Name<FillKind> fill_kinds[] = {{"constant", FillKind::constant},
                                     {"uniform", FillKind::uniform},
                                     {"normal", FillKind::normal},
                                     {"truncated-normal", FillKind::truncated_normal}};
const Name<NormKind> norm_kinds[] = {{"rms", NormKind::rms}, {"layer", NormKind::layer}};
}  // namespace

FillArgs fill(const Reader& r, CallList&) {
  FillArgs args = {};
  const auto out = r.floats("out", 0);
  args.out = out.data;
  args.length = out.length;
  args.kind = one_of(r, "kind", fill_kinds);
  args.scale = r.number("scale");
  r.key("key", args.key);
  const double first = r.number("firstIndex");
  if (!(first >= 0 && first < 0x1p53)) r.fail("firstIndex", std::to_string(first), "an integer from 0");
  args.first_index = static_cast<int64_t>(first);
  if (r.has("rowLength") || r.has("rowStride")) {
    args.row_length = r.size("rowLength", 1);
    args.row_stride = r.size("rowStride", args.row_length);
  }
  return args;
}

CopyArgs copy(const Reader& r, CallList&) {
  const auto from = r.floats("from", 0);
  const auto out = r.floats("out", 0);
  r.same_length("out", out.length, "from", from.length);
  return {from.data, out.data, from.length};
}

RoundBf16Args round_bf16(const Reader& r, CallList&) {
  RoundBf16Args args = {};
  if (r.is_halves("x")) {
    const auto x = r.halves("x", 0);
    args.x_halves = x.data;
    args.length = x.length;
  } else {
    const auto x = r.floats("x", 0);
    args.x = x.data;
    args.length = x.length;
  }
  const bool halves = r.is_halves("out");
  if (halves) args.out_halves = r.halves("out", args.length).data;
  else args.out = r.floats("out", args.length).data;
  r.same_length("out", halves ? r.halves("out", 0).length : r.floats("out", 0).length, "x", args.length);
  return args;
}

PartialsAddArgs partials_add(const Reader& r, CallList& list) {
  PartialsAddArgs args = {};
  const auto out = r.floats("out", 0);
  args.out = out.data;
  args.length = out.length;
  args.num_parts = parts_of(r);
  list.partials.emplace_back();
  for (int64_t i = 0; i < args.num_parts; i++) {
    const auto part = r.floats_at("parts", static_cast<uint32_t>(i), out.length);
    r.same_length("parts", part.length, "out", out.length);
    list.partials.back().push_back(part.data);
  }
  args.parts = list.partials.back().data();
  const auto base = r.floats_or_null("base", 0);
  args.base = base.data;
  if (r.has("base")) r.same_length("base", base.length, "out", out.length);
  return args;
}

EmbedForwardArgs embed_forward(const Reader& r, CallList&) {
  const int64_t dim = r.size("dim", 1);
  const auto ids = r.ints("ids_T", 0);
  const auto table = r.floats("table_VD", dim);
  return {ids.data, ids.length, table.data, table.length / dim, r.floats("out_TD", ids.length * dim).data, dim, r.size_or("firstId", -1)};
}

EmbedBackwardArgs embed_backward(const Reader& r, CallList&) {
  const int64_t dim = r.size("dim", 1);
  const auto ids = r.ints("ids_T", 0);
  const GradientTarget target = r.target("tableSum", -1);
  return {ids.data, ids.length, r.floats("dOut_TD", ids.length * dim).data, target.length / dim, dim, r.bounds("grainStarts"), target,
          r.size_or("firstId", -1)};
}

namespace {
/// All of the call that forward and backward share.
template <class Args>
Args norm_common(const Reader& r) {
  Args args = {};
  args.kind = one_of(r, "kind", norm_kinds);
  args.rows = r.size("rows");
  args.groups = r.size("groups", 1);
  args.dim = r.size("dim", 1);
  args.x = r.const_rows("x", args.rows, args.groups * args.dim);
  args.weight = r.floats("weight", args.dim).data;
  args.stats = r.floats("stats", args.rows * args.groups * (args.kind == NormKind::layer ? 2 : 1)).data;
  return args;
}
/// Sums over whole rows, of which the call has a part; null when absent.
template <class Args>
const float* whole_sums(const Reader& r, const char* name, Args& args) {
  if (!r.has(name) && !r.has("fullDim")) return nullptr;
  if (args.kind != NormKind::rms || args.groups != 1) r.fail(name, "given", "nothing, but for kind rms and one group");
  args.full_dim = r.size("fullDim", args.dim);
  return r.floats(name, args.rows).data;
}
}  // namespace

NormForwardArgs norm_forward(const Reader& r, CallList&) {
  auto args = norm_common<NormForwardArgs>(r);
  args.eps = r.number("eps");
  args.bias = r.floats_or_null("bias", args.dim).data;
  args.out = r.rows("out", args.rows, args.groups * args.dim, true);
  args.squares = whole_sums(r, "squares_T", args);
  return args;
}

NormBackwardArgs norm_backward(const Reader& r, CallList&) {
  auto args = norm_common<NormBackwardArgs>(r);
  args.d_out = r.const_rows("dOut", args.rows, args.groups * args.dim);
  args.dx = r.rows("dx", args.rows, args.groups * args.dim);
  args.accumulate = r.flag("accumulate");
  args.grains = r.bounds("grainStarts");
  args.weight_sum = r.target("weightSum", args.dim);
  args.bias_sum = r.target_or_none("biasSum", args.dim);
  args.products = whole_sums(r, "products_T", args);
  return args;
}

NormSquaresArgs norm_squares(const Reader& r, CallList&) {
  const int64_t rows = r.size("rows"), dim = r.size("dim", 1);
  return {rows, dim, r.const_rows("x", rows, dim), r.floats("out_T", rows).data};
}

NormProductsArgs norm_products(const Reader& r, CallList&) {
  const int64_t rows = r.size("rows"), dim = r.size("dim", 1);
  return {rows,
          dim,
          r.const_rows("x", rows, dim),
          r.floats("weight", dim).data,
          r.floats("stats", rows).data,
          r.const_rows("dOut", rows, dim),
          r.floats("out_T", rows).data};
}

namespace {
template <class Args>
Args linear_common(const Reader& r) {
  Args args = {};
  args.rows = r.size("rows");
  args.in_dim = r.size("inDim", 1);
  args.out_dim = r.size("outDim", 1);
  args.precision = r.precision();
  return args;
}
}  // namespace

LinearForwardArgs linear_forward(const Reader& r, CallList&) {
  auto args = linear_common<LinearForwardArgs>(r);
  args.x = r.operand_rows("x", args.rows, args.in_dim, args.precision);
  args.weight = r.weights("weight", args.in_dim * args.out_dim, args.precision);
  args.out = r.rows("out", args.rows, args.out_dim);
  args.accumulate = r.flag_or("accumulate", false);
  args.residual = {nullptr, 0};
  if (r.has("residual")) {
    if (args.accumulate) r.fail("residual", "given", "either accumulate or residual");
    args.residual = r.const_rows("residual", args.rows, args.out_dim);
  }
  return args;
}

LinearBackwardInputArgs linear_backward_input(const Reader& r, CallList&) {
  auto args = linear_common<LinearBackwardInputArgs>(r);
  args.d_out = r.const_rows("dOut", args.rows, args.out_dim);
  args.weight = r.weights("weight", args.in_dim * args.out_dim, args.precision);
  args.dx = r.rows("dx", args.rows, args.in_dim);
  args.accumulate = r.flag_or("accumulate", false);
  return args;
}

LinearBackwardWeightArgs linear_backward_weight(const Reader& r, CallList&) {
  auto args = linear_common<LinearBackwardWeightArgs>(r);
  args.d_out = r.const_rows("dOut", args.rows, args.out_dim);
  args.x = r.operand_rows("x", args.rows, args.in_dim, args.precision);
  args.grains = r.bounds("grainStarts");
  args.weight_sum = r.target("weightSum", args.in_dim * args.out_dim);
  return args;
}

RopeArgs rope(const Reader& r, CallList&) {
  RopeArgs args = {};
  args.rows = r.size("rows");
  args.seq_len = r.size("seqLen", 1);
  args.heads = r.size("heads", 1);
  args.head_dim = r.size("headDim", 2);
  require(r, args.head_dim % 2 == 0, "headDim", args.head_dim, "an even number");
  args.first_position = r.size_or("firstPosition", 0);
  args.x = r.rows("x", args.rows, args.heads * args.head_dim);
  const int64_t positions = args.rows == 0 ? 0 : args.first_position + (args.rows < args.seq_len ? args.rows : args.seq_len);
  args.cos = r.floats("cos_S2", positions * (args.head_dim / 2)).data;
  args.sin = r.floats("sin_S2", positions * (args.head_dim / 2)).data;
  args.inverse = r.flag("inverse");
  return args;
}

PositionsAddArgs positions_add(const Reader& r, CallList&) {
  PositionsAddArgs args = {};
  args.rows = r.size("rows");
  args.seq_len = r.size("seqLen", 1);
  args.dim = r.size("dim", 1);
  args.first_position = r.size_or("firstPosition", 0);
  args.out = r.floats("out_TD", args.rows * args.dim).data;
  const int64_t positions = args.rows == 0 ? 0 : args.first_position + (args.rows < args.seq_len ? args.rows : args.seq_len);
  args.table = r.floats("table_SD", positions * args.dim).data;
  args.first_seen = r.ints_or_null("firstSeen_T", args.rows).data;
  return args;
}

namespace {
RelativeBias relative_bias(const Reader& r, CallList& list, int64_t heads) {
  if (!r.has("bias")) return {};
  napi_valuetype type;
  if (napi_typeof(r.env(), r.get("bias"), &type) != napi_ok || type != napi_object)
    r.fail("bias", "no object", "an object { table_BH, buckets, bidirectional, maxDistance }");
  const Reader inner = r.nested("bias", r.get("bias"));
  RelativeBias bias;
  bias.bidirectional = inner.flag("bidirectional");
  const int64_t sides = bias.bidirectional ? 2 : 1;
  bias.buckets = inner.size("buckets", 2 * sides);
  require(inner, bias.buckets <= MOST_BUCKETS, "buckets", bias.buckets, std::to_string(MOST_BUCKETS) + " at most");
  const int64_t own = bias.buckets / sides, exact = own / 2, max_distance = inner.size("maxDistance", exact + 1);
  require(inner, max_distance <= MOST_DISTANCE, "maxDistance", max_distance, std::to_string(MOST_DISTANCE) + " at most");
  bias.table = inner.floats("table_BH", bias.buckets * heads).data;
  list.bucket_starts.push_back(bucket_starts(own, exact, max_distance));
  bias.starts = list.bucket_starts.back().data();
  bias.num_starts = static_cast<int64_t>(list.bucket_starts.back().size());
  return bias;
}

template <class Args>
Args attention_common(const Reader& r, CallList& list) {
  Args args = {};
  args.batch = r.size("batch");
  args.seq_len = r.size("seqLen");
  args.heads = r.size("heads", 1);
  args.kv_heads = r.size("kvHeads", 1);
  args.head_dim = r.size("headDim", 1);
  require(r, args.heads % args.kv_heads == 0, "heads", args.heads, "a multiple of kvHeads " + std::to_string(args.kv_heads));
  args.scale = static_cast<float>(r.number("scale"));
  args.key_len = r.has("keyLen") ? r.size("keyLen", 1) : args.seq_len;
  const int64_t rows = args.batch * args.seq_len, keys = args.batch * args.key_len;
  args.q = r.const_rows("q", rows, args.heads * args.head_dim);
  args.k = r.const_rows("k", keys, args.kv_heads * args.head_dim);
  args.v = r.const_rows("v", keys, args.kv_heads * args.head_dim);
  args.first_seen = r.ints_or_null("firstSeen_T", rows).data;
  args.end_seen = r.ints_or_null("endSeen_T", rows).data;
  if (!r.has("endSeen_T") && args.key_len != args.seq_len)
    r.fail("endSeen_T", "undefined",
           "an Int32Array, since keyLen " + std::to_string(args.key_len) + " is not seqLen " + std::to_string(args.seq_len));
  args.lse = r.floats("lse_TH", rows * args.heads).data;
  args.bias = relative_bias(r, list, args.heads);
  return args;
}
}  // namespace

AttentionForwardArgs attention_forward(const Reader& r, CallList& list) {
  auto args = attention_common<AttentionForwardArgs>(r, list);
  args.out = r.rows("out", args.batch * args.seq_len, args.heads * args.head_dim);
  return args;
}

AttentionBackwardArgs attention_backward(const Reader& r, CallList& list) {
  auto args = attention_common<AttentionBackwardArgs>(r, list);
  const int64_t rows = args.batch * args.seq_len, keys = args.batch * args.key_len;
  const int64_t width = args.heads * args.head_dim, kv_width = args.kv_heads * args.head_dim;
  args.out = r.const_rows("out", rows, width);
  args.d_out = r.const_rows("dOut", rows, width);
  args.dq = r.rows("dq", rows, width);
  args.dk = r.rows("dk", keys, kv_width);
  args.dv = r.rows("dv", keys, kv_width);
  if (!r.has("biasSum")) return args;
  if (!args.bias.table) r.fail("biasSum", "given", "nothing, since there is no bias");
  args.bias_sum = r.target("biasSum", args.bias.buckets * args.heads);
  args.grains = r.bounds("grainStarts");
  return args;
}

namespace {
double smoothing_of(const Reader& r) {
  const double epsilon = r.number_or("smoothing", 0);
  if (!(epsilon >= 0 && epsilon < 1)) r.fail("smoothing", std::to_string(epsilon), "0 to less than 1");
  return epsilon;
}
int64_t* nll_sum_of(const Reader& r) { return r.has("nllSum") ? r.int64s("nllSum", 2).data : nullptr; }
}  // namespace

HeadLossArgs head_loss(const Reader& r, CallList&) {
  HeadLossArgs args = {};
  args.tokens = r.size("tokens");
  args.dim = r.size("dim", 1);
  args.vocab = r.size("vocab", 1);
  args.precision = r.precision();
  if (args.precision == Precision::bf16 && r.is_halves("x_TD")) args.x_halves = r.halves("x_TD", args.tokens * args.dim).data;
  else args.x = r.floats("x_TD", args.tokens * args.dim).data;
  args.head = r.weights("head_VD", args.vocab * args.dim, args.precision);
  args.targets = r.ints("targets_T", args.tokens).data;
  args.grains = r.bounds("grainStarts");
  args.loss = r.floats("loss_T", args.tokens).data;
  args.loss_sum = r.int64s("lossSum", 2).data;
  args.dx = r.floats_or_null("dx_TD", args.tokens * args.dim).data;
  args.head_sum = r.target_or_none("headSum", args.vocab * args.dim);
  const bool backward = r.has("dx_TD") || r.has("headSum");
  if (backward && !r.has("gradScale")) r.fail("gradScale", "undefined", "a number, since dx_TD or headSum is given");
  const double grad_scale = backward ? r.number("gradScale") : 0;
  args.grad_scale = static_cast<float>(grad_scale);
  args.smoothing = Smoothing::of(smoothing_of(r), grad_scale, args.vocab);
  args.nll_sum = nll_sum_of(r);
  return args;
}

namespace {
void head_part(const Reader& r, HeadPart& args) {
  args.tokens = r.size("tokens");
  args.dim = r.size("dim", 1);
  args.vocab = r.size("vocab", 1);
  args.first_vocab = r.size("firstVocab");
  args.precision = r.precision();
  if (args.precision == Precision::bf16 && r.is_halves("x_TD")) args.x_halves = r.halves("x_TD", args.tokens * args.dim).data;
  else args.x = r.floats("x_TD", args.tokens * args.dim).data;
  args.head = r.weights("head_VD", args.vocab * args.dim, args.precision);
  args.targets = r.ints("targets_T", args.tokens).data;
  args.grains = r.bounds("grainStarts");
}
}  // namespace

HeadPartialArgs head_partial(const Reader& r, CallList&) {
  HeadPartialArgs args = {};
  head_part(r, args);
  args.max = r.floats("max_T", args.tokens).data;
  args.sum = r.floats("sum_T", args.tokens).data;
  args.logit = r.floats("logit_T", args.tokens).data;
  args.logit_sum = r.floats_or_null("logitSum_T", args.tokens).data;
  return args;
}

HeadFinishArgs head_finish(const Reader& r, CallList&) {
  HeadFinishArgs args = {};
  head_part(r, args);
  args.lse = r.floats("lse_T", args.tokens).data;
  const double grad_scale = r.number("gradScale"), epsilon = smoothing_of(r);
  args.grad_scale = static_cast<float>(grad_scale);
  args.smoothing = Smoothing::of(epsilon, grad_scale, epsilon > 0 ? r.size("fullVocab", args.vocab) : args.vocab);
  args.dx = r.floats("dx_TD", args.tokens * args.dim).data;
  args.head_sum = r.target("headSum", args.vocab * args.dim);
  return args;
}

HeadJoinArgs head_join(const Reader& r, CallList& list) {
  HeadJoinArgs args = {};
  args.tokens = r.size("tokens");
  args.num_parts = parts_of(r);
  const double epsilon = smoothing_of(r);
  int64_t words = 0;
  list.head_parts.emplace_back();
  for (int64_t i = 0; i < args.num_parts; i++) {
    const Reader part = element(r, "parts", static_cast<uint32_t>(i));
    list.head_parts.back().push_back({part.floats("max_T", args.tokens).data, part.floats("sum_T", args.tokens).data,
                                      part.floats("logit_T", args.tokens).data, part.size("firstVocab"), part.size("vocab", 1),
                                      epsilon > 0 ? part.floats("logitSum_T", args.tokens).data : nullptr});
    words += list.head_parts.back().back().vocab;
  }
  args.parts = list.head_parts.back().data();
  args.targets = r.ints("targets_T", args.tokens).data;
  args.grains = r.bounds("grainStarts");
  args.lse = r.floats("lse_T", args.tokens).data;
  args.loss = r.floats("loss_T", args.tokens).data;
  args.loss_sum = r.has("lossSum") ? r.int64s("lossSum", 2).data : nullptr;
  args.smoothing = Smoothing::of(epsilon, 0, words);
  args.nll_sum = nll_sum_of(r);
  return args;
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
  AdamWArgs args = {};
  const auto weights = r.floats("weights", 0);
  const auto same = [&](const char* name, const auto& array) {
    r.same_length(name, array.length, "weights", weights.length);
    return array.data;
  };
  args.out = same("out", r.floats("out", 0));
  args.m = same("m", r.floats("m", 0));
  args.v = same("v", r.floats("v", 0));
  args.gradient = r.gradient("gradient");
  r.same_length("gradient", args.gradient.length, "weights", weights.length);
  args.weights = weights.data;
  args.grad_scale = r.number("gradScale");
  args.learning_rate = r.number("learningRate");
  args.beta1 = r.number("beta1");
  args.beta2 = r.number("beta2");
  args.eps = r.number("eps");
  args.weight_decay = r.number("weightDecay");
  args.correction1 = r.number("correction1");
  args.correction2 = r.number("correction2");
  return args;
}

}  // namespace parsers
}  // namespace troupe
