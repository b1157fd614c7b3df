// Fuzz of the products against scalar chains: every instruction set that this CPU has, one to three threads, odd sizes, no rows, one
// row, all rows to one expert. Equality is bitwise. Run by sanitize.mjs (with address and undefined-behaviour sanitizers) and the tests.
//   products-test [rounds] [seed]
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "../cpu.h"
#include "../exact.h"
#include "../pool.h"
#include "oracle.h"

using namespace troupe;
using oracle::Floats;

namespace {

std::mt19937 prng;
long failures = 0, comparisons = 0;

int64_t draw(int64_t low, int64_t high) { return low + static_cast<int64_t>(prng() % static_cast<uint64_t>(high - low + 1)); }
/// Mostly small, sometimes past the blocks of the packed loops; sometimes a multiple of the vector.
int64_t size(int64_t most) {
  const int64_t n = draw(0, 9) == 0 ? draw(1, most) : draw(1, most < 70 ? most : 70);
  return draw(0, 2) == 0 ? (n + 15) / 16 * 16 : n;
}
/// Drawn anew for each case.
bool tiny = false;
Floats floats(int64_t n) {
  std::normal_distribution<float> normal(0, 0.5f);
  Floats v(static_cast<size_t>(n));
  // Some denormal, and sometimes all so small that products and sums of them are.
  const float scale = tiny ? 1e-19f : 1.0f;
  for (auto& x : v) x = normal(prng) * (prng() % 64 == 0 ? 1e-38f : scale);
  return v;
}
template <class T>
void expect(const char* what, const std::string& where, const std::vector<T>& found, const std::vector<T>& expected) {
  comparisons++;
  if (found.size() == expected.size() && std::memcmp(found.data(), expected.data(), found.size() * sizeof(T)) == 0) return;
  failures++;
  for (size_t i = 0; i < found.size(); i++) {
    if (std::memcmp(&found[i], &expected[i], sizeof(T)) == 0) continue;
    std::printf("%s %s: element %zu of %zu is %.9g, expected %.9g\n", what, where.c_str(), i, found.size(), static_cast<double>(found[i]),
                static_cast<double>(expected[i]));
    return;
  }
}
std::vector<uint16_t> halves(const Floats& x) {
  std::vector<uint16_t> h;
  for (float f : x) h.push_back(static_cast<uint16_t>(troupe::bf16_bits(f)));
  return h;
}

/// Bounds of grains over `rows` rows, empty ones among them.
std::vector<int32_t> grains(int64_t rows) {
  std::vector<int32_t> starts = {0};
  for (int64_t g = draw(0, 4); g > 0; g--) starts.push_back(static_cast<int32_t>(draw(starts.back(), rows)));
  starts.push_back(static_cast<int32_t>(rows));
  return starts;
}
Bounds bounds(const std::vector<int32_t>& starts) { return {starts.data(), static_cast<int64_t>(starts.size()) - 1}; }

/// What `run` adds to a sum that starts from zero is what it leaves in one that it begins over garbage, and, as f32, what it stores.
/// `run` takes a target; `covers` says which elements it writes.
template <class Run, class Covers>
void expect_targets(const char* what, const std::string& where, int64_t length, const Run& run, const Covers& covers) {
  std::vector<int64_t> added(static_cast<size_t>(length), 0), begun(static_cast<size_t>(length), 99), begun_expected = begun;
  Floats stored(static_cast<size_t>(length), -7.5f), stored_expected = stored;
  int32_t overflow[3] = {0, 0, 0};
  run(GradientTarget{added.data(), length, &overflow[0], nullptr, false});
  run(GradientTarget{begun.data(), length, &overflow[1], nullptr, true});
  run(GradientTarget{nullptr, length, &overflow[2], stored.data(), false});
  for (int64_t i = 0; i < length; i++) {
    if (!covers(i)) continue;
    begun_expected[static_cast<size_t>(i)] = added[static_cast<size_t>(i)];
    stored_expected[static_cast<size_t>(i)] = exact::to_float(added[static_cast<size_t>(i)]);
  }
  expect((std::string(what) + " begun").c_str(), where, begun, begun_expected);
  expect((std::string(what) + " stored").c_str(), where, stored, stored_expected);
  expect((std::string(what) + " overflow of targets").c_str(), where, std::vector<int32_t>{overflow[1], overflow[2]},
         std::vector<int32_t>{overflow[0], overflow[0]});
}
const auto everything = [](int64_t) { return true; };

void fuzz_linear(Precision p, const Kernels& kernels, Pool& pool, const std::string& where) {
  tiny = draw(0, 3) == 0;
  const int64_t m = draw(0, 9) == 0 ? 0 : size(500), n = size(600), k = size(900);
  const int64_t xs = k + draw(0, 3), ys = n + draw(0, 3), rs = n + draw(0, 3);
  const Floats x = floats(m * xs), w = floats(n * k), residual = floats(m * rs), before = floats(m * ys);
  const std::vector<uint16_t> x_halves = halves(x);
  for (int mode = 0; mode < 3; mode++) {  // fresh, accumulate, residual
    Floats y = before, expected = before;
    const float* start = mode == 0 ? nullptr : mode == 1 ? before.data() : residual.data();
    oracle::linear(p, m, n, k, x.data(), xs, w.data(), start, mode == 1 ? ys : rs, expected.data(), ys);
    kernels.linear_forward({m, k, n, {x.data(), xs}, w.data(), {y.data(), ys}, mode == 1, {mode == 2 ? residual.data() : nullptr, rs}, p},
                           pool);
    expect("linear.forward", where, y, expected);
    if (p == Precision::bf16) {
      Floats z = before;
      kernels.linear_forward(
          {m, k, n, {nullptr, xs, x_halves.data()}, w.data(), {z.data(), ys}, mode == 1, {mode == 2 ? residual.data() : nullptr, rs}, p},
          pool);
      expect("linear.forward of bf16 rows", where, z, expected);
    }
    // The same rows in two calls.
    const int64_t cut = draw(0, m);
    Floats z = before;
    for (int half = 0; half < 2; half++) {
      const int64_t r = half ? cut : 0, rows = half ? m - cut : cut;
      kernels.linear_forward({rows,
                              k,
                              n,
                              {x.data() + r * xs, xs},
                              w.data(),
                              {z.data() + r * ys, ys},
                              mode == 1,
                              {mode == 2 ? residual.data() + r * rs : nullptr, rs},
                              p},
                             pool);
    }
    expect("linear.forward in two calls", where, z, expected);
  }
  const Floats dy = floats(m * ys), dx_before = floats(m * xs);
  for (int accumulate = 0; accumulate < 2; accumulate++) {
    Floats dx = dx_before, expected = dx_before;
    oracle::linear_input(p, m, n, k, dy.data(), ys, w.data(), accumulate ? dx_before.data() : nullptr, xs, expected.data(), xs);
    kernels.linear_backward_input({m, k, n, {dy.data(), ys}, w.data(), {dx.data(), xs}, accumulate == 1, p}, pool);
    expect("linear.backward.input", where, dx, expected);
  }
  const auto starts = grains(m);
  std::vector<int64_t> sums(static_cast<size_t>(n * k), 7), expected = sums;
  std::vector<int32_t> overflow(1, 0), expected_overflow(1, 0);
  Floats dy_big = dy;
  if (m > 0 && draw(0, 3) == 0) dy_big[static_cast<size_t>(draw(0, m - 1) * ys)] = draw(0, 1) ? NAN : 1e4f;
  for (size_t g = 0; g + 1 < starts.size(); g++)
    oracle::weight_leaf(p, starts[g], starts[g + 1] - starts[g], n, k, dy_big.data(), ys, x.data(), xs, expected.data(),
                        expected_overflow[0]);
  kernels.linear_backward_weight(
      {m, k, n, {dy_big.data(), ys}, {x.data(), xs}, bounds(starts), {sums.data(), n * k, overflow.data(), nullptr, false}, p}, pool);
  expect("linear.backward.weight", where, sums, expected);
  if (p == Precision::bf16) {
    std::vector<int64_t> again(sums.size(), 7);
    kernels.linear_backward_weight({m,
                                    k,
                                    n,
                                    {dy_big.data(), ys},
                                    {nullptr, xs, x_halves.data()},
                                    bounds(starts),
                                    {again.data(), n * k, overflow.data(), nullptr, false},
                                    p},
                                   pool);
    expect("linear.backward.weight of bf16 rows", where, again, expected);
  }
  expect("linear.backward.weight overflow", where, overflow, expected_overflow);
  const auto weight = [&](const GradientTarget& target) {
    kernels.linear_backward_weight({m, k, n, {dy_big.data(), ys}, {x.data(), xs}, bounds(starts), target, p}, pool);
  };
  expect_targets("linear.backward.weight", where, n * k, weight, everything);
}

struct Source {
  int64_t tokens, grains, rows;
  bool identity, weighted;
  Floats x, d_out, row_weights, y, dx;
  std::vector<int32_t> slots, counts;
};

/// Activations by the same ISA's own rows: products are what is under test. Runs one row through a 1×1 expert.
float activation_of(const Kernels& kernels, Pool& pool, Activation activation, float gate, float up, float d, float& d_gate, float& d_up) {
  // dim = hidden = 1: pre = w·x with x = 1, so weights are the pre-activations; down = 1 gives y = act.
  const int64_t inputs = hidden_inputs(activation);
  const float x = 1.0f;
  std::vector<float> w = inputs == 2 ? std::vector<float>{gate, up, 1.0f} : std::vector<float>{up, 1.0f};
  float y = 0, saved[2] = {0, 0}, dx = 0;
  const int32_t count = 1;
  ExpertSource source = {&x, 1, nullptr, &count, 1, 1, &y, &d, nullptr, &dx};
  kernels.experts_forward({1, 1, 1, activation, w.data(), static_cast<int64_t>(w.size()), &source, 1, false, saved, 1}, pool);
  int64_t sums[3] = {0, 0, 0};
  int32_t overflow = 0;
  // dx = d_gate·w_gate + d_up·w_up: with one-hot weights and the same saved values each comes out alone.
  std::vector<float> pick = inputs == 2 ? std::vector<float>{1.0f, 0.0f, 1.0f} : std::vector<float>{1.0f, 1.0f};
  kernels.experts_backward({1,
                            1,
                            1,
                            activation,
                            pick.data(),
                            static_cast<int64_t>(pick.size()),
                            &source,
                            1,
                            false,
                            saved,
                            1,
                            {sums, 3, &overflow, nullptr, false}},
                           pool);
  d_gate = d_up = dx;
  if (inputs == 2) {
    pick = {0.0f, 1.0f, 1.0f};
    kernels.experts_backward({1, 1, 1, activation, pick.data(), 3, &source, 1, false, saved, 1, {sums, 3, &overflow, nullptr, false}},
                             pool);
    d_up = dx;
  }
  return y;
}

void fuzz_experts(Precision p, const Kernels& kernels, Pool& pool, const std::string& where) {
  tiny = false;  // activation_of cannot see the sign of a zero that underflow left
  const int64_t E = draw(1, 7), D = size(450), F = size(300), S = draw(1, 3);
  const Activation activation = static_cast<Activation>(draw(0, 3));
  const int64_t inputs = hidden_inputs(activation), stride = (inputs + 1) * F * D + draw(0, 5);
  const Floats weights = floats(E * stride);
  const bool accumulate = draw(0, 1), skewed = draw(0, 1);
  const int64_t cold = draw(-1, E - 1);  // this expert gets no rows
  std::vector<Source> sources(static_cast<size_t>(S));
  int64_t total = 0;
  for (auto& s : sources) {
    s.grains = draw(1, 3);
    for (int64_t i = 0; i < E * s.grains; i++) {
      const bool hot = i / s.grains == 0;
      s.counts.push_back(static_cast<int32_t>(i / s.grains == cold ? 0 : skewed ? (hot ? draw(0, 250) : draw(0, 3)) : draw(0, 20)));
    }
    s.rows = 0;
    for (int32_t c : s.counts) s.rows += c;
    s.identity = draw(0, 3) == 0;
    s.weighted = draw(0, 1);
    s.tokens = s.identity ? s.rows : draw(1, 40);
    if (!s.identity) for (int64_t i = 0; i < s.rows; i++) s.slots.push_back(static_cast<int32_t>(draw(0, s.tokens - 1)));
    s.x = floats(s.tokens * D);
    s.d_out = floats(s.tokens * D);
    s.row_weights = floats(s.rows);
    s.y = floats(s.rows * D);
    s.dx = floats(s.rows * D);
    total += s.rows;
  }
  const auto y_start = sources;  // chains start from these when accumulating
  std::vector<ExpertSource> views;
  for (auto& s : sources)
    views.push_back({s.x.data(), s.tokens, s.identity ? nullptr : s.slots.data(), s.counts.data(), s.grains, s.rows, s.y.data(),
                     s.d_out.data(), s.weighted ? s.row_weights.data() : nullptr, s.dx.data()});
  Floats saved(static_cast<size_t>(total * inputs * F), -1.0f), saved_expected = saved;
  std::vector<uint16_t> saved_halves(saved.size(), 0xbf80);
  const bool narrow = p == Precision::bf16;
  kernels.experts_forward({E, D, F, activation, weights.data(), stride, views.data(), S, accumulate, narrow ? nullptr : saved.data(), total,
                           p, narrow ? saved_halves.data() : nullptr},
                          pool);
  std::vector<Floats> y_found;
  for (auto& s : sources) y_found.push_back(s.y);
  for (auto& s : sources) s.y = y_start[static_cast<size_t>(&s - sources.data())].y;
  kernels.experts_forward({E, D, F, activation, weights.data(), stride, views.data(), S, accumulate, nullptr, 0, p}, pool);
  for (int64_t s = 0; s < S; s++)
    expect("experts.forward without saved", where, sources[static_cast<size_t>(s)].y, y_found[static_cast<size_t>(s)]);
  std::vector<int64_t> sums(static_cast<size_t>(E * stride), 3), sums_expected = sums;
  std::vector<int32_t> overflow(1, 0), overflow_expected(1, 0);
  kernels.experts_backward({E,
                            D,
                            F,
                            activation,
                            weights.data(),
                            stride,
                            views.data(),
                            S,
                            accumulate,
                            narrow ? nullptr : saved.data(),
                            total,
                            {sums.data(), E * stride, overflow.data(), nullptr, false},
                            p,
                            narrow ? saved_halves.data() : nullptr},
                           pool);

  // The oracle, expert by expert, source by source, grain by grain.
  std::vector<Floats> y_expected, dx_expected;
  for (auto& s : y_start) y_expected.push_back(s.y), dx_expected.push_back(s.dx);
  std::vector<int64_t> next(static_cast<size_t>(S), 0);
  int64_t row = 0;
  for (int64_t e = 0; e < E; e++) {
    const float *wg = weights.data() + e * stride, *wd = wg + inputs * F * D;
    for (int64_t si = 0; si < S; si++) {
      const Source& s = sources[static_cast<size_t>(si)];
      for (int64_t g = 0; g < s.grains; g++) {
        const int64_t rows = s.counts[static_cast<size_t>(e * s.grains + g)];
        Floats act(static_cast<size_t>(rows * F)), dpre(static_cast<size_t>(rows * inputs * F)), xs(static_cast<size_t>(rows * D)),
            gs(static_cast<size_t>(rows * D));
        for (int64_t r = 0; r < rows; r++) {
          const int64_t own = next[static_cast<size_t>(si)] + r, token = s.identity ? own : s.slots[static_cast<size_t>(own)];
          for (int64_t d = 0; d < D; d++) {
            xs[static_cast<size_t>(r * D + d)] = s.x[static_cast<size_t>(token * D + d)];
            const float up = s.d_out[static_cast<size_t>(token * D + d)];
            gs[static_cast<size_t>(r * D + d)] = s.weighted ? up * s.row_weights[static_cast<size_t>(own)] : up;
          }
          float* pre = saved_expected.data() + (row + r) * inputs * F;
          oracle::linear(p, 1, inputs * F, D, &xs[static_cast<size_t>(r * D)], D, wg, nullptr, 0, pre, inputs * F);
          if (narrow) for (int64_t f = 0; f < inputs * F; f++) pre[f] = oracle::round_bf16(pre[f]);
          for (int64_t f = 0; f < F; f++) {
            const float d_act = oracle::chain(
                p, 0.0f, D, [&](int64_t t) { return gs[static_cast<size_t>(r * D + t)]; }, [&](int64_t t) { return wd[t * F + f]; });
            float d_gate = 0, d_up = 0;
            act[static_cast<size_t>(r * F + f)] =
                activation_of(kernels, pool, activation, pre[f], pre[(inputs - 1) * F + f], d_act, d_gate, d_up);
            dpre[static_cast<size_t>(r * inputs * F + f)] = d_gate;
            dpre[static_cast<size_t>(r * inputs * F + (inputs - 1) * F + f)] = d_up;
          }
          float* y = &y_expected[static_cast<size_t>(si)][static_cast<size_t>(own * D)];
          oracle::linear(p, 1, D, F, &act[static_cast<size_t>(r * F)], F, wd, accumulate ? y : nullptr, D, y, D);
          float* dx = &dx_expected[static_cast<size_t>(si)][static_cast<size_t>(own * D)];
          const Floats start(dx, dx + D);
          oracle::linear_input(p, 1, inputs * F, D, &dpre[static_cast<size_t>(r * inputs * F)], 0, wg, accumulate ? start.data() : nullptr,
                               0, dx, D);
        }
        int64_t* out = sums_expected.data() + e * stride;
        oracle::weight_leaf(p, 0, rows, inputs * F, D, dpre.data(), inputs * F, xs.data(), D, out, overflow_expected[0]);
        oracle::weight_leaf(p, 0, rows, D, F, gs.data(), D, act.data(), F, out + inputs * F * D, overflow_expected[0]);
        next[static_cast<size_t>(si)] += rows;
        row += rows;
      }
    }
  }
  if (narrow) expect("experts.forward saved", where, saved_halves, halves(saved_expected));
  else expect("experts.forward saved", where, saved, saved_expected);
  for (int64_t s = 0; s < S; s++) {
    expect("experts.forward y", where, y_found[static_cast<size_t>(s)], y_expected[static_cast<size_t>(s)]);
    expect("experts.backward dx", where, sources[static_cast<size_t>(s)].dx, dx_expected[static_cast<size_t>(s)]);
  }
  expect("experts.backward weights", where, sums, sums_expected);
  expect("experts.backward overflow", where, overflow, overflow_expected);
  const auto backward = [&](const GradientTarget& target) {
    kernels.experts_backward({E, D, F, activation, weights.data(), stride, views.data(), S, accumulate, narrow ? nullptr : saved.data(),
                              total, target, p, narrow ? saved_halves.data() : nullptr},
                             pool);
  };
  expect_targets("experts.backward", where, E * stride, backward, [&](int64_t i) { return i % stride < (inputs + 1) * F * D; });
}

struct HeadResult {
  Floats loss, dx;
  std::vector<int64_t> sums, loss_sum;
};

/// Losses against float64; gradients against chains over the kernel's own softmax are covered by equality across bodies (see main).
HeadResult run_head(Precision p, const Kernels& kernels, Pool& pool, int64_t T, int64_t D, int64_t V, const Floats& x, const Floats& head,
                    const std::vector<int32_t>& targets, const std::vector<int32_t>& starts) {
  HeadResult r = {Floats(static_cast<size_t>(T), -1.0f),
                  Floats(static_cast<size_t>(T * D), -1.0f),
                  std::vector<int64_t>(static_cast<size_t>(V * D), 5),
                  {0, 0}};
  int32_t overflow = 0;
  kernels.head_loss({T,
                     D,
                     V,
                     x.data(),
                     head.data(),
                     targets.data(),
                     bounds(starts),
                     r.loss.data(),
                     r.loss_sum.data(),
                     0.125f,
                     r.dx.data(),
                     {r.sums.data(), V * D, &overflow, nullptr, false},
                     p},
                    pool);
  return r;
}

void fuzz_head(Precision p, const std::vector<const Kernels*>& bodies, std::vector<Pool*>& pools) {
  tiny = false;
  const int64_t T = draw(0, 9) == 0 ? 0 : size(200), D = size(200), V = size(1300);
  const Floats x = floats(T * D), head = floats(V * D);
  std::vector<int32_t> targets;
  for (int64_t t = 0; t < T; t++) targets.push_back(static_cast<int32_t>(draw(-1, V - 1)));
  const auto starts = grains(T);
  const HeadResult first = run_head(p, *bodies[0], *pools[0], T, D, V, x, head, targets, starts);
  for (int64_t t = 0; t < T; t++) {
    std::vector<double> logits;
    double top = -1e300, sum = 0;
    for (int64_t v = 0; v < V; v++) {
      logits.push_back(oracle::chain(
          p, 0.0f, D, [&](int64_t i) { return x[static_cast<size_t>(t * D + i)]; },
          [&](int64_t i) { return head[static_cast<size_t>(v * D + i)]; }));
      if (logits.back() > top) top = logits.back();
    }
    for (double l : logits) sum += std::exp(l - top);
    const int32_t target = targets[static_cast<size_t>(t)];
    const double expected = target < 0 ? 0 : top + std::log(sum) - logits[static_cast<size_t>(target)];
    comparisons++;
    if (!(std::fabs(first.loss[static_cast<size_t>(t)] - expected) <= 1e-5 * (1 + std::fabs(top) + std::fabs(expected)))) {
      failures++;
      std::printf("head.loss: loss[%ld] is %.9g, expected %.9g\n", static_cast<long>(t),
                  static_cast<double>(first.loss[static_cast<size_t>(t)]), expected);
    }
  }
  // dx in float64, to 1e-4 of its scale.
  for (const Kernels* kernels : bodies) {
    for (Pool* pool : pools) {
      const std::string where = std::string(kernels->isa) + " threads " + std::to_string(pool->threads());
      const HeadResult r = run_head(p, *kernels, *pool, T, D, V, x, head, targets, starts);
      expect("head.loss losses", where, r.loss, first.loss);
      expect("head.loss sum", where, r.loss_sum, first.loss_sum);
      expect("head.loss dx", where, r.dx, first.dx);
      expect("head.loss head gradient", where, r.sums, first.sums);
      const auto backward = [&](const GradientTarget& target) {
        HeadResult o = r;
        kernels->head_loss({T, D, V, x.data(), head.data(), targets.data(), bounds(starts), o.loss.data(), o.loss_sum.data(), 0.125f,
                            o.dx.data(), target, p},
                           *pool);
      };
      expect_targets("head.loss", where, V * D, backward, everything);
    }
  }
}

/// A grain of more rows than logits exist at a time. With the identity as the head, dx is the gradient of the logits, so the head's own
/// gradient has an oracle.
void long_grains(Precision p, const Kernels& kernels, Pool& pool, const std::string& where) {
  tiny = false;
  const int64_t T = 1100, V = 21;
  const Floats x = floats(T * V);
  Floats head(static_cast<size_t>(V * V), 0.0f);
  for (int64_t v = 0; v < V; v++) head[static_cast<size_t>(v * V + v)] = 1.0f;
  std::vector<int32_t> targets;
  for (int64_t t = 0; t < T; t++) targets.push_back(static_cast<int32_t>(draw(-1, V - 1)));
  for (const std::vector<int32_t>& starts : {std::vector<int32_t>{0, 1100}, {0, 513, 1100}, {0, 0, 512, 512, 1024, 1100}}) {
    const HeadResult r = run_head(p, kernels, pool, T, V, V, x, head, targets, starts);
    std::vector<int64_t> expected(static_cast<size_t>(V * V), 5);
    int32_t overflow = 0;
    for (size_t g = 0; g + 1 < starts.size(); g++)
      oracle::weight_leaf(p, starts[g], starts[g + 1] - starts[g], V, V, r.dx.data(), V, x.data(), V, expected.data(), overflow);
    expect("head.loss gradient of long grains", where, r.sums, expected);
    const auto backward = [&](const GradientTarget& target) {
      HeadResult o = r;
      kernels.head_loss({T, V, V, x.data(), head.data(), targets.data(), bounds(starts), o.loss.data(), o.loss_sum.data(), 0.125f,
                         o.dx.data(), target, p},
                        pool);
    };
    expect_targets("head.loss of long grains", where, V * V, backward, everything);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  const unsigned seed = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  std::vector<const Kernels*> bodies;
  for (const char* isa : {"portable", "avx2", "avx512", "avx512bf16", "neon"}) {
    if (const Kernels* kernels = kernels_named(isa)) bodies.push_back(kernels);
  }
  Pool one(1), two(2), three(3);
  std::vector<Pool*> pools = {&one, &two, &three};
  for (int round = 0; round < rounds; round++) {
    // Every body and pool sees the same drawn case.
    for (const Kernels* kernels : bodies) {
      for (Pool* pool : pools) {
        for (const Precision p : {Precision::f32, Precision::bf16}) {
          const std::string where = std::string(kernels->isa) + (p == Precision::bf16 ? " bf16" : "") + " threads " +
                                    std::to_string(pool->threads()) + " round " + std::to_string(round);
          prng.seed(seed * 1000003u + static_cast<unsigned>(round));
          fuzz_linear(p, *kernels, *pool, where);
          fuzz_experts(p, *kernels, *pool, where);
          if (round == 0) long_grains(p, *kernels, *pool, where);
        }
      }
    }
    for (const Precision p : {Precision::f32, Precision::bf16}) {
      prng.seed(seed * 1000003u + static_cast<unsigned>(round) + 500000u);
      fuzz_head(p, bodies, pools);
    }
  }
  std::printf("%ld comparisons, %ld failures, seed %u, bodies:", comparisons, failures, seed);
  for (const Kernels* kernels : bodies) std::printf(" %s", kernels->isa);
  std::printf("\n");
  return failures == 0 ? 0 : 1;
}
