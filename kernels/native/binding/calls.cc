#include "calls.h"

namespace troupe {
namespace {

void check_bounds(const char* op, const Bounds& bounds, int64_t rows) {
  for (int64_t i = 0; i <= bounds.count; i++) {
    const int64_t found = bounds.starts[i], low = i == 0 ? 0 : bounds.starts[i - 1];
    const bool last = i == bounds.count;
    if (found >= low && found <= rows && (i > 0 || found == 0) && (!last || found == rows)) continue;
    throw RangeError(std::string(op) + ": row bound " + std::to_string(i) + " is " + std::to_string(found) + ", expected " +
                     (i == 0 ? "0" : last ? std::to_string(rows) : std::to_string(low) + " to " + std::to_string(rows)));
  }
}

void check_seen(const char* op, const char* name, const int32_t* seen, const AttentionArgs& args) {
  if (!seen) return;
  for (int64_t t = 0; t < args.batch * args.seq_len; t++) {
    if (seen[t] >= 0 && seen[t] <= args.key_len) continue;
    throw RangeError(std::string(op) + ": " + name + "[" + std::to_string(t) + "] is " + std::to_string(seen[t]) + ", expected 0 to " +
                     std::to_string(args.key_len) + ", the rows of keys");
  }
}
void check_attention(const char* op, const AttentionArgs& args) {
  if (!args.end_seen) return;
  check_seen(op, "endSeen_T", args.end_seen, args);
  check_seen(op, "firstSeen_T", args.first_seen, args);
}

template <class Args>
void check_contents(const Args&) {}
void check_contents(const AttentionForwardArgs& args) { check_attention("attention.forward", args); }
void check_contents(const AttentionBackwardArgs& args) {
  check_attention("attention.backward", args);
  if (args.bias_sum.length == 0) return;
  check_bounds("attention.backward: grainStarts", args.grains, args.batch * args.seq_len);
  for (int64_t i = 0; i <= args.grains.count && args.seq_len > 0; i++) {
    if (args.grains.starts[i] % args.seq_len == 0) continue;
    throw RangeError("attention.backward: grainStarts[" + std::to_string(i) + "] is " + std::to_string(args.grains.starts[i]) +
                     ", expected a bound between sequences of " + std::to_string(args.seq_len));
  }
}
void check_contents(const EmbedBackwardArgs& args) { check_bounds("embed.backward: grainStarts", args.grains, args.tokens); }
void check_contents(const NormBackwardArgs& args) { check_bounds("norm.backward: grainStarts", args.grains, args.rows); }
void check_contents(const LinearBackwardWeightArgs& args) { check_bounds("linear.backward.weight: grainStarts", args.grains, args.rows); }
void check_contents(const BalanceForwardArgs& args) { check_bounds("balance.forward: groupStarts", args.groups, args.tokens); }
void check_contents(const GateBackwardArgs& args) { check_bounds("gate.backward: groupStarts", args.groups, args.tokens); }
void check_contents(const RouteSelectArgs& args) { check_bounds("route.select: groupStarts", args.groups, args.tokens); }
void check_contents(const RoutePlanArgs& args) { check_bounds("route.plan: grainStarts", args.grains, args.tokens); }
void check_contents(const HeadJoinArgs& args) { check_bounds("head.join: grainStarts", args.grains, args.tokens); }
void check_contents(const HeadPartialArgs& args) { check_bounds("head.partial: grainStarts", args.grains, args.tokens); }
void check_contents(const HeadFinishArgs& args) { check_bounds("head.finish: grainStarts", args.grains, args.tokens); }
void check_contents(const HeadLossArgs& args) { check_bounds("head.loss: grainStarts", args.grains, args.tokens); }

struct Runner {
  const Kernels& kernels;
  Pool& pool;
#define X(name, Args)                    \
  void operator()(const Args& args) const { \
    check_contents(args);                \
    kernels.name(args, pool);            \
  }
  TROUPE_ROW_OPS(X)
  TROUPE_PRODUCT_OPS(X)
#undef X
  void operator()(std::monostate) const {}
};

}  // namespace

void run_call(const Kernels& kernels, const Call& call, Pool& pool) { std::visit(Runner{kernels, pool}, call); }

}  // namespace troupe
