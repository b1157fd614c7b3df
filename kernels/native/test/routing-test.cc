// The same checks (see rows-test.cc) of gate, balance, route.plan, expert choice, combine, exact sums and AdamW.
#include "checks.h"

namespace {

// ---- gate ----

void test_gate() {
  Random random(6);
  for (int trial = 0; trial < 20; trial++) {
    const int64_t tokens = trial == 0 ? 0 : random.between(1, 300), experts = random.between(1, trial % 3 == 2 ? 400 : 70),
                  top_k = random.between(1, std::min<int64_t>(experts, trial % 3 == 2 ? 40 : 8)), groups = random.between(1, 5);
    const bool renormalise = trial % 2 == 0, given = trial % 5 == 4, global = trial % 4 == 1;
    auto logits = random.reals(tokens * experts, 4);
    for (auto& v : logits) if (random.below(6) == 0) v = 1.0f;  // ties
    std::vector<uint8_t> valid(z(tokens));
    for (auto& v : valid) v = random.below(8) != 0;
    const uint8_t* mask = trial % 3 ? valid.data() : nullptr;
    std::vector<int32_t> choices(z(tokens * top_k), -1);
    if (given) for (int64_t t = 0; t < tokens; t++) {
      const int64_t first = random.below(experts);
      for (int64_t c = 0; c < top_k; c++)
        choices[z(t * top_k + c)] = random.below(5) == 0 ? -1 : static_cast<int32_t>((first + c) % experts);
    }
    const auto starts = random_bounds(random, tokens, groups);
    const auto forward = everywhere("gate.forward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      GateForwardArgs a{tokens, experts, top_k, renormalise, logits.data(), mask, given, nullptr, nullptr, nullptr};
      a.probs = o.make<float>(tokens * experts), a.choices = o.make<int32_t>(tokens * top_k, choices.data()),
      a.weights = o.make<float>(tokens * top_k);
      k.gate_forward(a, pool);
    });
    const float* probs = forward.at<float>(0);
    const int32_t* chosen = forward.at<int32_t>(1);
    const float* weights = forward.at<float>(2);
    const auto balance = everywhere("balance.forward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      BalanceForwardArgs a{tokens,  experts, top_k,   logits.data(), probs, chosen, mask, {starts.data(), groups},
                           nullptr, nullptr, nullptr, nullptr};
      a.fractions = o.make<float>(groups * experts), a.loss_sums = o.make<int64_t>(4), a.counts = o.make<int32_t>(experts),
      a.prob_sums = o.make<int64_t>(2 * experts);
      k.balance_forward(a, pool);
    });
    const auto d_weights = random.reals(tokens * top_k);
    const double aux = 0.3, z_scale = trial % 2 ? 0.01 : 0.0;
    const auto backward = everywhere("gate.backward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      k.gate_backward({tokens,
                       experts,
                       top_k,
                       renormalise,
                       logits.data(),
                       probs,
                       chosen,
                       weights,
                       d_weights.data(),
                       mask,
                       {starts.data(), groups},
                       balance.at<float>(0),
                       global,
                       aux,
                       z_scale,
                       o.make<float>(tokens * experts)},
                      pool);
    });
    double loss = 0, squares = 0;
    std::vector<double> prob_sums(z(experts), 0);
    std::vector<int64_t> counts(z(experts), 0);
    for (int64_t g = 0; g < groups; g++) {
      std::vector<double> mean(z(experts), 0);
      std::vector<int64_t> count(z(experts), 0);
      int64_t num_valid = 0;
      for (int64_t t = starts[z(g)]; t < starts[z(g + 1)]; t++) num_valid += !mask || mask[t];
      for (int64_t t = starts[z(g)]; t < starts[z(g + 1)]; t++) {
        const bool live = !mask || mask[t];
        double sum = 0;
        std::vector<double> p(z(experts)), d(z(experts), 0);
        for (int64_t e = 0; e < experts; e++) sum += p[z(e)] = std::exp(static_cast<double>(logits[z(t * experts + e)]));
        const double lse = std::log(sum);
        for (int64_t e = 0; e < experts; e++) near("gate.forward probs", probs[t * experts + e], p[z(e)] /= sum, 5e-7);
        std::vector<int32_t> order(z(experts));
        for (int64_t e = 0; e < experts; e++) order[z(e)] = static_cast<int32_t>(e);
        std::stable_sort(order.begin(), order.end(),
                         [&](int32_t a, int32_t b) { return logits[z(t * experts + a)] > logits[z(t * experts + b)]; });
        double total = 0, along = 0;
        for (int64_t c = 0; c < top_k; c++) {
          const int32_t wanted = !live ? -1 : given ? choices[z(t * top_k + c)] : order[z(c)];
          expect(chosen[t * top_k + c] == wanted, "gate.forward choices");
          if (wanted >= 0) total += p[z(wanted)], count[z(wanted)]++;
        }
        const bool divide = renormalise && top_k > 1;
        for (int64_t c = 0; c < top_k; c++) {
          const int32_t e = chosen[t * top_k + c];
          const double w = e < 0 ? 0 : p[z(e)] / (divide ? total : 1);
          near("gate.forward weights", weights[t * top_k + c], w, 1e-6);
          along += w * d_weights[z(t * top_k + c)];
        }
        if (!live) {
          for (int64_t e = 0; e < experts; e++)
            expect(backward.at<float>(0)[t * experts + e] == 0.0f, "gate.backward leaves padding alone");
          continue;
        }
        squares += lse * lse;
        for (int64_t e = 0; e < experts; e++) {
          mean[z(e)] += p[z(e)], prob_sums[z(e)] += p[z(e)];
          d[z(e)] = aux * static_cast<double>(experts) * balance.at<float>(0)[(global ? 0 : g * experts) + e] /
                    (global ? 1.0 : static_cast<double>(num_valid));
        }
        for (int64_t c = 0; c < top_k; c++) {
          const int32_t e = chosen[t * top_k + c];
          if (e >= 0) d[z(e)] += divide ? (d_weights[z(t * top_k + c)] - along) / total : static_cast<double>(d_weights[z(t * top_k + c)]);
        }
        double inner = 0;
        for (int64_t e = 0; e < experts; e++) inner += p[z(e)] * d[z(e)];
        for (int64_t e = 0; e < experts; e++)
          near("gate.backward", backward.at<float>(0)[t * experts + e], p[z(e)] * (d[z(e)] - inner + 2 * z_scale * lse), 3e-5);
      }
      for (int64_t e = 0; e < experts; e++) {
        const double f = num_valid ? static_cast<double>(count[z(e)]) / static_cast<double>(num_valid * top_k) : 0;
        near("balance.forward fractions", balance.at<float>(0)[g * experts + e], f, 1e-7);
        if (num_valid) loss += static_cast<double>(experts) * f * mean[z(e)] / static_cast<double>(num_valid);
        counts[z(e)] += count[z(e)];
      }
    }
    near("balance.forward loss", static_cast<double>(balance.at<int64_t>(1)[0]) * 0x1p-36, loss, 1e-6);
    near("balance.forward z", static_cast<double>(balance.at<int64_t>(1)[2]) * 0x1p-36, squares, 1e-6);
    for (int64_t e = 0; e < experts; e++) {
      expect(balance.at<int32_t>(2)[e] == counts[z(e)], "balance.forward counts");
      near("balance.forward probabilities", static_cast<double>(balance.at<int64_t>(3)[2 * e]) * 0x1p-36, prob_sums[z(e)], 1e-6);
    }
  }
}

// ---- route, combine ----

void test_route() {
  Random random(7);
  for (int trial = 0; trial < 16; trial++) {
    const int64_t tokens = trial == 0 ? 0 : random.between(1, 300), ranks = random.between(1, 4), experts = random.between(1, 32),
                  top_k = random.between(1, std::min<int64_t>(experts, 4)), grains = random.between(1, 4);
    const int64_t dim = random.between(1, 100);
    std::vector<int32_t> choices(z(tokens * top_k));
    for (int64_t t = 0; t < tokens; t++) {
      const int64_t first = random.below(experts);
      for (int64_t c = 0; c < top_k; c++)
        choices[z(t * top_k + c)] = random.below(9) == 0 ? -1 : static_cast<int32_t>((first + c) % experts);
    }
    std::vector<int32_t> rank_of(z(experts));  // contiguous, or any: then a rank may have none
    for (int64_t e = 0; e < experts; e++) rank_of[z(e)] = static_cast<int32_t>(trial % 2 ? random.below(ranks) : e * ranks / experts);
    const auto starts = random_bounds(random, tokens, grains);
    const auto plan = everywhere("route.plan", [&](const Kernels& k, Pool& pool, Outputs& o) {
      RoutePlanArgs a{tokens,  experts, top_k,   ranks,   rank_of.data(), choices.data(), {starts.data(), grains}, nullptr, nullptr,
                      nullptr, nullptr, nullptr, nullptr, nullptr};
      a.counts = o.make<int32_t>(experts * grains), a.position = o.make<int32_t>(tokens * top_k), a.slots = o.make<int32_t>(tokens * top_k),
      a.choice_of_row = o.make<int32_t>(tokens * top_k);
      a.rank_tokens = o.make<int32_t>(ranks * tokens), a.num_tokens = o.make<int32_t>(ranks), a.num_rows = o.make<int32_t>(ranks);
      k.route_plan(a, pool);
    });
    int32_t row = 0;
    int64_t place = 0;
    for (int64_t r = 0; r < ranks; r++) {
      std::vector<int32_t> needed;
      for (int64_t t = 0; t < tokens; t++) {
        bool needs = false;
        for (int64_t c = 0; c < top_k; c++) needs |= choices[z(t * top_k + c)] >= 0 && rank_of[z(choices[z(t * top_k + c)])] == r;
        if (needs) needed.push_back(static_cast<int32_t>(t));
      }
      expect(plan.at<int32_t>(5)[r] == static_cast<int32_t>(needed.size()), "route.plan number of tokens");
      for (size_t i = 0; i < needed.size(); i++)
        expect(plan.at<int32_t>(4)[r * tokens + static_cast<int64_t>(i)] == needed[i], "route.plan tokens of a rank");
      const int32_t before = row;
      for (int64_t e = 0; e < experts; e++) {
        if (rank_of[z(e)] != r) continue;
        for (int64_t g = 0; g < grains; g++) {
          int32_t count = 0;
          for (int64_t i = starts[z(g)] * top_k; i < starts[z(g + 1)] * top_k; i++) {
            if (choices[z(i)] != e) continue;
            count++;
            expect(plan.at<int32_t>(1)[i] == row && plan.at<int32_t>(3)[row] == i, "route.plan rows by (rank, expert, token)");
            expect(needed[z(plan.at<int32_t>(2)[row])] == i / top_k, "route.plan slots");
            row++;
          }
          expect(plan.at<int32_t>(0)[place * grains + g] == count, "route.plan counts");
        }
        place++;
      }
      expect(plan.at<int32_t>(6)[r] == row - before, "route.plan number of rows");
    }
    for (int64_t i = 0; i < tokens * top_k; i++) if (choices[z(i)] < 0) expect(plan.at<int32_t>(1)[i] == -1, "route.plan dropped");

    const auto rows = random.reals(row * dim), weights = random.reals(tokens * top_k), base = random.reals(tokens * dim);
    std::vector<RowsPart> parts;
    for (int64_t r = 0, first = 0; r < ranks; r++) {
      parts.push_back({first, plan.at<int32_t>(6)[r], rows.data() + first * dim});
      first += plan.at<int32_t>(6)[r];
    }
    const bool weighed = trial % 2, based = trial % 3 != 0;
    const int32_t* position = plan.at<int32_t>(1);
    const auto out = everywhere("combine", [&](const Kernels& k, Pool& pool, Outputs& o) {
      k.combine({tokens, top_k, dim, parts.data(), ranks, position, weighed ? weights.data() : nullptr, based ? base.data() : nullptr,
                 o.make<float>(tokens * dim)},
                pool);
      k.combine_backward_weights({tokens, top_k, dim, parts.data(), ranks, position, base.data(), o.make<float>(tokens * top_k)}, pool);
    });
    for (int64_t t = 0; t < tokens; t++)
      for (int64_t j = 0; j < dim; j++) {
        float chain = based ? base[z(t * dim + j)] : 0.0f;  // the definition itself, exactly
        for (int64_t c = 0; c < top_k; c++) {
          const int32_t at = position[t * top_k + c];
          if (at >= 0) chain = std::fmaf(weighed ? weights[z(t * top_k + c)] : 1.0f, rows[z(at * dim + j)], chain);
        }
        expect(out.at<float>(0)[t * dim + j] == chain, "combine equals its definition");
      }
    for (int64_t i = 0; i < tokens * top_k; i++) {
      double dot = 0;
      if (position[i] >= 0)
        for (int64_t j = 0; j < dim; j++) dot += static_cast<double>(base[z(i / top_k * dim + j)]) * rows[z(position[i] * dim + j)];
      near("combine.backward.weights", out.at<float>(1)[i], dot, 3e-6);
    }
  }
}

// ---- expert choice ----

int64_t key_of(float probability, int64_t sequence) {
  uint32_t bits;
  memcpy(&bits, &probability, sizeof bits);
  return (probability > 0 ? static_cast<int64_t>(bits) << 32 : 0) + 0xffffffffll - sequence;
}

/// A group that is one part against sorted lists, and the same group in several parts of which each is a source.
void test_choice() {
  Random random(9);
  for (int trial = 0; trial < 24; trial++) {
    const int64_t experts = random.between(1, 70), seq_len = random.between(1, 9), parts = random.between(1, 4),
                  part_sequences = random.between(1, 20), n = parts * part_sequences, tokens = n * seq_len;
    const int64_t chosen = random.between(1, trial % 2 ? n : std::min<int64_t>(n, 4)), take = std::min(chosen, part_sequences);
    std::vector<float> probs(z(tokens * experts));
    const float odd[4] = {0.0f, -0.0f, NAN, INFINITY};
    for (auto& p : probs)
      p = random.below(12) == 0 ? odd[random.below(4)] : static_cast<float>(random.between(1, trial % 3 ? 1000 : 4)) / 1000;
    std::vector<uint8_t> valid(z(tokens));
    for (auto& v : valid) v = random.below(8) != 0;
    const uint8_t* mask = trial % 4 ? valid.data() : nullptr;
    const int64_t positions = parts * seq_len;
    const ChoiceParts whole{tokens, experts, seq_len, n, n, 0, probs.data(), mask};
    const ChoiceParts cut{tokens, experts, seq_len, part_sequences, n, 0, probs.data(), mask};
    const auto out = everywhere("choice", [&](const Kernels& k, Pool& pool, Outputs& o) {
      ChoiceCandidatesArgs all{whole, chosen, o.make<int64_t>(seq_len * experts * chosen), o.make<int32_t>(seq_len)};
      k.choice_candidates(all, pool);
      const ChoiceSource one{all.keys, all.num_valid};
      int64_t* thresholds = o.make<int64_t>(seq_len * experts);
      int64_t *sums = o.make<int64_t>(experts), *groups = o.make<int64_t>(1);
      k.choice_thresholds({seq_len, experts, chosen, &one, 1, n, chosen, thresholds, sums, groups}, pool);
      k.choice_take({whole, thresholds, o.make<int32_t>(tokens * experts)}, pool);
      ChoiceCandidatesArgs some{cut, take, o.make<int64_t>(positions * experts * take), o.make<int32_t>(positions)};
      k.choice_candidates(some, pool);
      std::vector<ChoiceSource> sources;
      for (int64_t p = parts; p-- > 0;) sources.push_back({some.keys + p * seq_len * experts * take, some.num_valid + p * seq_len});
      int64_t* same = o.make<int64_t>(seq_len * experts);
      k.choice_thresholds({seq_len, experts, take, sources.data(), parts, n, chosen, same, nullptr, nullptr}, pool);
      const float above = 0.5f;
      const std::vector<float> each(z(experts), above);
      k.choice_above({tokens, experts, probs.data(), mask, each.data(), o.make<int32_t>(tokens * experts)}, pool);
    });
    expect(same_bytes(out.at<int64_t>(2), out.at<int64_t>(8), z(seq_len * experts) * 8), "thresholds of parts are those of the whole");
    int64_t groups = 0;
    for (int64_t q = 0; q < seq_len; q++) {
      int64_t num_valid = 0;
      for (int64_t s = 0; s < n; s++) num_valid += !mask || mask[s * seq_len + q];
      expect(out.at<int32_t>(1)[q] == num_valid, "choice.candidates valid tokens");
      const int64_t taken = (2 * num_valid * chosen + n) / (2 * n);
      groups += taken > 0;
      for (int64_t e = 0; e < experts; e++) {
        std::vector<int64_t> keys;
        for (int64_t s = 0; s < n; s++)
          if (!mask || mask[s * seq_len + q]) keys.push_back(key_of(probs[z((s * seq_len + q) * experts + e)], s));
        std::sort(keys.rbegin(), keys.rend());
        for (int64_t i = 0; i < chosen; i++)
          expect(out.at<int64_t>(0)[(q * experts + e) * chosen + i] == (i < num_valid ? keys[z(i)] : -1), "choice.candidates fall");
        const int64_t threshold = taken == 0 ? INT64_MAX : keys[z(taken - 1)];
        expect(out.at<int64_t>(2)[q * experts + e] == threshold, "choice.thresholds");
        int64_t count = 0;
        for (int64_t s = 0; s < n; s++) {
          const int64_t t = s * seq_len + q;
          const bool live = !mask || mask[t];
          const float p = probs[z(t * experts + e)];
          const bool takes = live && key_of(p, s) >= threshold;
          count += takes;
          expect(out.at<int32_t>(5)[t * experts + e] == (takes ? e : -1), "choice.take");
          expect(out.at<int32_t>(9)[t * experts + e] == (live && p >= 0.5f ? e : -1), "choice.above");
        }
        expect(count == taken, "an expert takes exactly as many as it may");
      }
    }
    expect(out.at<int64_t>(4)[0] == groups, "choice.thresholds groups");
  }
}

// ---- sums, adamw ----

void test_sums() {
  Random random(8);
  for (int trial = 0; trial < 10; trial++) {
    const int64_t n = trial == 0 ? 0 : trial == 1 ? 70000 : random.between(1, 5000);
    std::vector<int64_t> a(z(n)), b(z(n));
    for (auto& v : a) v = static_cast<int64_t>(random.bits()) >> random.between(4, 60);
    for (auto& v : b) v = static_cast<int64_t>(random.bits()) >> random.between(4, 60);
    const auto weights = random.reals(n), m = random.reals(n, 0.1f);
    auto v = random.reals(n, 0.01f);
    for (auto& x : v) x = std::fabs(x);
    const AdamWArgs step{weights.data(), nullptr, nullptr, nullptr, {a.data(), nullptr, n}, 0.01, 0.001, 0.9, 0.999,
                         1e-8,           0.1,     0.19,    0.002};
    const auto out = everywhere("sums", [&](const Kernels& k, Pool& pool, Outputs& o) {
      ExactSum s{o.make<int64_t>(n, a.data()), n, nullptr};
      s.overflow = o.make<int32_t>(1);
      k.sum_add({s, b.data(), trial % 2 == 1}, pool);
      k.sum_read({s.values, o.make<float>(n), n}, pool);
      const int64_t start[2] = {-5, -1};
      k.sum_squares({{a.data(), nullptr, n}, o.make<int64_t>(2, start)}, pool);
      AdamWArgs args = step;
      args.out = o.make<float>(n), args.m = o.make<float>(n, m.data()), args.v = o.make<float>(n, v.data());
      k.adamw(args, pool);
      ExactSum zero{o.make<int64_t>(n, a.data()), n, nullptr};
      const int32_t one = 1;
      zero.overflow = o.make<int32_t>(1, &one);
      k.sum_reset({zero}, pool);
      // The same from a stored gradient.
      float* stored = o.make<float>(n);
      k.sum_read({a.data(), stored, n}, pool);
      k.sum_squares({{nullptr, stored, n}, o.make<int64_t>(2, start)}, pool);
      args.out = o.make<float>(n), args.m = o.make<float>(n, m.data()), args.v = o.make<float>(n, v.data()),
      args.gradient = {nullptr, stored, n};
      k.adamw(args, pool);
    });
    expect(same_bytes(out.at<int64_t>(10), out.at<int64_t>(3), 16), "sum.squares of a stored gradient");
    for (int i = 0; i < 3; i++) expect(same_bytes(out.at<float>(11 + i), out.at<float>(4 + i), z(n) * 4), "adamw of a stored gradient");
    expect(*out.at<int32_t>(1) == trial % 2, "sum.add or-s the flag");
    double squares = 0;
    for (int64_t i = 0; i < n; i++) {
      expect(out.at<int64_t>(0)[i] == a[z(i)] + b[z(i)], "sum.add");
      expect(out.at<float>(2)[i] == static_cast<float>(a[z(i)] + b[z(i)]) * 0x1p-50f, "sum.read rounds once");
      const double g = static_cast<float>(a[z(i)]) * 0x1p-50f;
      squares += g * g;
      const double scaled = g * 0.01, wanted_m = 0.9 * m[z(i)] + 0.1 * scaled, wanted_v = 0.999 * v[z(i)] + 0.001 * scaled * scaled;
      near("adamw m", out.at<float>(5)[i], wanted_m, 1e-6), near("adamw v", out.at<float>(6)[i], wanted_v, 1e-6);
      near("adamw", out.at<float>(4)[i],
           weights[z(i)] * (1 - 0.001 * 0.1) - 0.001 * (wanted_m / 0.19) / (std::sqrt(wanted_v / 0.002) + 1e-8), 1e-6);
      expect(out.at<int64_t>(7)[i] == 0, "sum.reset");
    }
    expect(*out.at<int32_t>(8) == 0, "sum.reset clears the flag");
    const double norm =
        static_cast<double>(out.at<int64_t>(3)[1]) * 0x1p-16 + static_cast<double>(static_cast<uint64_t>(out.at<int64_t>(3)[0])) * 0x1p-80;
    if (n > 0) near("sum.squares", norm / (squares + 1e-30), 1, 1e-9);
  }
  // Leaves that lie half way between two quanta of a norm go to the even one: 2·(2^9)² of 2^-100 is half of 2^-80.
  for (const int64_t extra : {int64_t{0}, int64_t{1024}}) {
    const int64_t halves[3] = {512, 512, extra};
    const auto out = everywhere("sum.squares ties", [&](const Kernels& k, Pool& pool, Outputs& o) {
      k.sum_squares({{halves, nullptr, 3}, o.make<int64_t>(2)}, pool);
    });
    expect(out.at<int64_t>(0)[0] == (extra == 0 ? 0 : 2) && out.at<int64_t>(0)[1] == 0, "sum.squares rounds ties to even");
  }
  // Leaves at and over the limit, and NaN: nothing is added but the flag.
  const float special[20] = {63.999996f, 64.0f,  -64.0f, -63.999996f, NAN, INFINITY, -INFINITY, 0x1p-51f, 0x1.8p-50f, -0x1p-51f,
                             0x1.8p-51f, 1e-40f, -0.0f,  1,           -1,  33.25f,   2,         3,        64,         5};
  std::vector<int32_t> id = {0}, starts = {0, 1};
  for (const int64_t dim : {int64_t{16}, int64_t{20}, int64_t{7}}) {
    const auto out = everywhere("limits", [&](const Kernels& k, Pool& pool, Outputs& o) {
      GradientTarget s{o.make<int64_t>(dim), dim, nullptr, nullptr, false};
      s.overflow = o.make<int32_t>(1);
      k.embed_backward({id.data(), 1, special, 1, dim, {starts.data(), 1}, s}, pool);
    });
    expect(*out.at<int32_t>(1) == 1, "a leaf out of range sets the flag");
    for (int64_t j = 0; j < dim; j++)
      expect(out.at<int64_t>(0)[j] == (std::fabs(special[j]) < 64 ? std::llrint(static_cast<double>(special[j]) * 0x1p50) : 0),
             "leaf " + std::to_string(special[j]));
  }
}

}  // namespace

int main() {
  test_gate();
  test_route();
  test_choice();
  test_sums();
  return report("routing");
}
