// Arguments of what lies between a router's logits and the plan of rows.
#include "parse.h"

namespace troupe {
namespace parsers {
namespace {

const Name<DropPolicy> drop_policies[] = {
    {"random", DropPolicy::random}, {"position", DropPolicy::position}, {"probability", DropPolicy::probability}};

RoutingDraws routing_draws(const Reader& r) {
  RoutingDraws draws = {};
  r.key("key", draws.key);
  draws.step = r.size("step");
  draws.first_sequence = r.size("firstSequence");
  draws.seq_len = r.size("seqLen", 1);
  return draws;
}
}  // namespace

JitterArgs jitter(const Reader& r, CallList&) {
  JitterArgs args = {};
  args.draws = routing_draws(r);
  args.rows = r.size("rows");
  args.dim = r.size("dim", 1);
  args.x = r.floats("x", args.rows * args.dim).data;
  args.out = r.floats("out", args.rows * args.dim).data;
  args.width = r.number("width");
  if (!(args.width >= 0 && args.width < 1)) r.fail("width", std::to_string(args.width), "from 0, below 1");
  return args;
}

GateSampleArgs gate_sample(const Reader& r, CallList&) {
  GateSampleArgs args = {};
  args.draws = routing_draws(r);
  args.tokens = r.size("tokens");
  args.experts = r.size("experts", 1);
  args.top_k = r.size("topK", 1);
  require(r, args.top_k <= 2 && args.top_k <= args.experts, "topK", args.top_k, "1 or 2, at most experts");
  args.logits = r.floats("logits_TE", args.tokens * args.experts).data;
  args.valid = r.bytes_or_null("valid_T", args.tokens).data;
  args.choices = r.ints("choices_TK", args.tokens * args.top_k).data;
  return args;
}

RouteSelectArgs route_select(const Reader& r, CallList&) {
  RouteSelectArgs args = {};
  args.draws = routing_draws(r);
  args.tokens = r.size("tokens");
  require(r, args.tokens <= 1 << 24, "tokens", args.tokens, "at most 2^24");
  args.experts = r.size("experts", 1);
  args.top_k = r.size("topK", 1);
  require(r, args.top_k <= 256, "topK", args.top_k, "at most 256");
  args.policy = one_of(r, "policy", drop_policies);
  const double factor = r.number("factorMillionths");
  if (!(factor > -0x1p53 && factor < 0x1p53)) r.fail("factorMillionths", std::to_string(factor), "an integer");
  args.factor_millionths = static_cast<int64_t>(factor);
  args.min_capacity = r.size("minCapacity");
  args.probs = r.floats("probs_TE", args.tokens * args.experts).data;
  const int64_t choices = args.tokens * args.top_k;
  args.choices = r.ints("choices_TK", choices).data;
  args.valid = r.bytes_or_null("valid_T", args.tokens).data;
  args.groups = r.bounds("groupStarts");
  args.kept = r.ints("kept_TK", choices).data;
  args.num_dropped = r.ints("numDropped", 1).data;
  return args;
}

GateWeighArgs gate_weigh(const Reader& r, CallList&) {
  GateWeighArgs args = {};
  args.tokens = r.size("tokens");
  args.experts = r.size("experts", 1);
  args.top_k = r.size("topK", 1);
  args.renormalise = r.flag("renormalise");
  args.probs = r.floats("probs_TE", args.tokens * args.experts).data;
  args.choices = r.ints("choices_TK", args.tokens * args.top_k).data;
  args.divisor_choices = r.ints_or_null("divisor_TK", args.tokens * args.top_k).data;
  args.weights = r.floats("weights_TK", args.tokens * args.top_k).data;
  args.scores = router_scores_or_softmax(r);
  args.scale = static_cast<float>(r.number_or("scale", 1.0));
  return args;
}

}  // namespace parsers
}  // namespace troupe
