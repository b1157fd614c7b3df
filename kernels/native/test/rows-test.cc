// Checks of fill, embed, gather, norm, rope and attention: the same bits on every instruction set this CPU has and on 1, 2 and 3 threads,
// values against plain float64 loops, and nothing written outside the outputs. Exit status 0 when all hold.
// Build: with pool.cc, errors.cc, cpu.cc and the isa-*.cc of this architecture.
#include "checks.h"

namespace {

// ---- fill ----

void philox(uint32_t c0, const uint32_t* key, uint32_t* words) {
  uint32_t c[4] = {c0, 0, 0, 0}, k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t{0xd2511f53} * c[0], p1 = uint64_t{0xcd9e8d57} * c[2];
    const uint32_t next[4] = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
                              static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    memcpy(c, next, sizeof c);
    k0 += 0x9e3779b9u, k1 += 0xbb67ae85u;
  }
  memcpy(words, c, sizeof c);
}
double normal_cdf(double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); }

void test_fill() {
  const FillKind kinds[] = {FillKind::constant, FillKind::uniform, FillKind::normal, FillKind::truncated_normal};
  Random random(1);
  for (int trial = 0; trial < 12; trial++) {
    const FillKind kind = kinds[trial % 4];
    const int64_t n = trial < 4 ? 200000 : random.between(0, 2000), first = trial < 4 ? 0 : random.below(1 << 20);
    FillArgs args{nullptr, n, kind, 0.5, {static_cast<uint32_t>(random.bits()), static_cast<uint32_t>(random.bits())}, first};
    const auto out = everywhere("fill", [&](const Kernels& k, Pool& pool, Outputs& o) {
      FillArgs a = args;
      a.out = o.make<float>(n);
      k.fill(a, pool);
    });
    const float* x = out.at<float>(0);
    double sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
      uint32_t words[4];
      philox(static_cast<uint32_t>((first + i) / 4), args.key, words);
      const uint32_t w = words[(first + i) % 4];
      const double sign = static_cast<int32_t>(w) < 0 ? -1 : 1, u = (w & 0x7fffffffu) + 0.5;
      const double v = x[i] / 0.5;
      if (kind == FillKind::constant) near("fill constant", v, 1, 0);
      if (kind == FillKind::uniform) near("fill uniform", v, (static_cast<double>(static_cast<int32_t>(w)) + 0.5) * 0x1p-31, 1e-7);
      // The tail probability of what was drawn is the one that the word asked for.
      if (kind == FillKind::normal) near("fill normal", normal_cdf(-v * sign), u * 0x1p-32, 3e-7);
      const double low = 0.022750131948179209;
      if (kind == FillKind::truncated_normal) near("fill truncated", normal_cdf(-v * sign), low + u * 0x1p-31 * (0.5 - low), 3e-7);
      sum += v, squares += v * v, largest = std::max(largest, std::fabs(v));
    }
    if (trial >= 4) continue;  // too few for the moments
    const double mean = sum / static_cast<double>(n), deviation = std::sqrt(squares / static_cast<double>(n) - mean * mean);
    if (kind == FillKind::normal) near("fill normal mean", mean, 0, 0.01), near("fill normal deviation", deviation, 1, 0.01);
    if (kind == FillKind::uniform)
      near("fill uniform deviation", deviation, std::sqrt(1.0 / 3), 0.01), expect(largest <= 1, "fill uniform range");
    if (kind == FillKind::truncated_normal) {
      near("fill truncated mean", mean, 0, 0.01), near("fill truncated deviation", deviation, 0.87962566103423978, 0.01);
      expect(largest <= 2, "fill truncated range");
    }
  }
}

// ---- copy, embed, gather ----

void test_embed() {
  Random random(2);
  for (int trial = 0; trial < 12; trial++) {
    const int64_t tokens = trial == 0 ? 0 : random.between(1, 700), vocab = random.between(1, trial % 2 ? 20 : 5000),
                  dim = random.between(1, 150), grains = random.between(1, 5);
    const auto table = random.reals(vocab * dim), d_out = random.reals(tokens * dim);
    std::vector<int32_t> ids(z(tokens));
    for (auto& id : ids) id = static_cast<int32_t>(random.below(vocab));
    const auto starts = random_bounds(random, tokens, grains);
    const auto out = everywhere("embed.forward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      k.embed_forward({ids.data(), tokens, table.data(), vocab, o.make<float>(tokens * dim), dim}, pool);
      CopyArgs copy{d_out.data(), o.make<float>(tokens * dim), tokens * dim};
      k.copy(copy, pool);
    });
    for (int64_t i = 0; i < tokens * dim; i++) expect(out.at<float>(0)[i] == table[z(ids[z(i / dim)] * dim + i % dim)], "embed.forward");
    expect(same_bytes(out.at<float>(1), d_out.data(), d_out.size() * 4), "copy");
    const auto sum = everywhere("embed.backward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      GradientTarget s{o.make<int64_t>(vocab * dim), vocab * dim, nullptr, nullptr, false};
      s.overflow = o.make<int32_t>(1);
      k.embed_backward({ids.data(), tokens, d_out.data(), vocab, dim, {starts.data(), grains}, s}, pool);
    });
    std::vector<int64_t> wanted(z(vocab * dim), 0);  // the definition itself, exactly
    for (int64_t g = 0; g < grains; g++)
      for (int64_t v = 0; v < vocab; v++) {
        std::vector<float> leaf(z(dim), 0.0f);
        for (int64_t t = starts[z(g)]; t < starts[z(g + 1)]; t++)
          if (ids[z(t)] == v) for (int64_t j = 0; j < dim; j++) leaf[z(j)] += d_out[z(t * dim + j)];
        for (int64_t j = 0; j < dim; j++) wanted[z(v * dim + j)] += std::llrint(static_cast<double>(leaf[z(j)]) * 0x1p50);
      }
    expect(same_bytes(sum.at<int64_t>(0), wanted.data(), wanted.size() * 8), "embed.backward equals its definition");
    const auto replaced = everywhere("embed.backward, begun and stored", [&](const Kernels& k, Pool& pool, Outputs& o) {
      const std::vector<int64_t> garbage(z(vocab * dim), 99);
      const std::vector<float> floats(z(vocab * dim), -7.5f);
      int32_t* overflow = o.make<int32_t>(1);
      const GradientTarget begun{o.make<int64_t>(vocab * dim, garbage.data()), vocab * dim, overflow, nullptr, true};
      const GradientTarget stored{nullptr, vocab * dim, overflow, o.make<float>(vocab * dim, floats.data()), false};
      for (const GradientTarget& target : {begun, stored})
        k.embed_backward({ids.data(), tokens, d_out.data(), vocab, dim, {starts.data(), grains}, target}, pool);
    });
    expect(same_bytes(replaced.at<int64_t>(1), wanted.data(), wanted.size() * 8), "embed.backward begins a sum");
    for (int64_t i = 0; i < vocab * dim; i++)
      expect(replaced.at<float>(2)[i] == static_cast<float>(wanted[z(i)]) * 0x1p-50f, "embed.backward stores");
    if (tokens > 0) {
      auto bad = ids;
      bad[z(random.below(tokens))] = static_cast<int32_t>(trial % 2 ? vocab : -1);
      for (const Kernels* k : isas()) {
        bool thrown = false;
        std::vector<float> o(z(tokens * dim));
        try {
          k->embed_forward({bad.data(), tokens, table.data(), vocab, o.data(), dim}, pool_of(2));
        } catch (const RangeError&) {
          thrown = true;
        }
        expect(thrown, "embed.forward refuses an id outside the table");
      }
    }
    const auto gathered = everywhere("gather", [&](const Kernels& k, Pool& pool, Outputs& o) {
      k.gather({tokens, dim, table.data(), vocab, ids.data(), o.make<float>(tokens * dim)}, pool);
      k.gather_scalars({tokens, table.data(), vocab * dim, ids.data(), o.make<float>(tokens)}, pool);
    });
    expect(same_bytes(gathered.at<float>(0), out.at<float>(0), z(tokens * dim) * 4), "gather");
    for (int64_t i = 0; i < tokens; i++) expect(gathered.at<float>(1)[i] == table[z(ids[z(i)])], "gather.scalars");
  }
}

// ---- norm ----

void test_norm() {
  Random random(3);
  for (int trial = 0; trial < 16; trial++) {
    const NormKind kind = trial % 2 ? NormKind::layer : NormKind::rms;
    const bool layer = kind == NormKind::layer, accumulate = trial % 3 == 0;
    const int64_t rows = trial == 0 ? 0 : random.between(1, 90), groups = random.between(1, 3), dim = random.between(1, 140),
                  grains = random.between(1, 4);
    const int64_t stride = groups * dim + random.below(20);
    const auto x = random.reals(rows * stride, 3), weight = random.reals(dim), bias = random.reals(dim),
               d_out = random.reals(rows * stride), before = random.reals(rows * stride);
    const auto starts = random_bounds(random, rows, grains);
    const double eps = 1e-5;
    const auto forward = everywhere("norm.forward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      NormForwardArgs a{kind,
                        rows,
                        groups,
                        dim,
                        eps,
                        {x.data(), stride},
                        weight.data(),
                        layer ? bias.data() : nullptr,
                        {o.make<float>(rows * stride), stride},
                        nullptr};
      a.stats = o.make<float>(2 * rows * groups);
      k.norm_forward(a, pool);
    });
    const auto backward = everywhere("norm.backward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      NormBackwardArgs a{kind,
                         rows,
                         groups,
                         dim,
                         {x.data(), stride},
                         weight.data(),
                         forward.at<float>(1),
                         {d_out.data(), stride},
                         {o.make<float>(rows * stride, before.data()), stride},
                         accumulate,
                         {starts.data(), grains},
                         {o.make<int64_t>(dim), dim, nullptr, nullptr, false},
                         {}};
      a.weight_sum.overflow = o.make<int32_t>(1);
      if (layer) a.bias_sum = {o.make<int64_t>(dim), dim, a.weight_sum.overflow, nullptr, false};
      k.norm_backward(a, pool);
    });
    std::vector<double> weight_gradient(z(dim), 0), bias_gradient(z(dim), 0);
    for (int64_t s = 0; s < rows * groups; s++) {
      const int64_t at = s / groups * stride + s % groups * dim;
      double mean = 0, variance = 0;
      if (layer) for (int64_t j = 0; j < dim; j++) mean += x[z(at + j)] / static_cast<double>(dim);
      for (int64_t j = 0; j < dim; j++) variance += (x[z(at + j)] - mean) * (x[z(at + j)] - mean) / static_cast<double>(dim);
      const double inv = 1 / std::sqrt(variance + eps);
      double slope = 0, level = 0;
      for (int64_t j = 0; j < dim; j++) {
        const double hat = (x[z(at + j)] - mean) * inv, g = static_cast<double>(d_out[z(at + j)]) * weight[z(j)];
        near("norm.forward", forward.at<float>(0)[at + j], hat * weight[z(j)] + (layer ? bias[z(j)] : 0), dim > 1 ? 3e-6 : 3e-4);
        slope += g * hat / static_cast<double>(dim), level += layer ? g / static_cast<double>(dim) : 0;
        weight_gradient[z(j)] += d_out[z(at + j)] * hat, bias_gradient[z(j)] += d_out[z(at + j)];
      }
      if (dim < 8) continue;  // a tiny variance magnifies rounding beyond any fixed tolerance
      for (int64_t j = 0; j < dim; j++) {
        const double hat = (x[z(at + j)] - mean) * inv, g = static_cast<double>(d_out[z(at + j)]) * weight[z(j)];
        near("norm.backward dx", backward.at<float>(0)[at + j], (g - level - hat * slope) * inv + (accumulate ? before[z(at + j)] : 0),
             3e-6);
      }
    }
    if (dim < 8) continue;
    for (int64_t j = 0; j < dim; j++) {
      near("norm.backward weight", fixed(backward.at<int64_t>(1)[j]), weight_gradient[z(j)], 1e-5);
      if (layer) near("norm.backward bias", fixed(backward.at<int64_t>(3)[j]), bias_gradient[z(j)], 1e-5);
    }
  }
}

// ---- rope ----

void test_rope() {
  Random random(4);
  for (int trial = 0; trial < 8; trial++) {
    const int64_t seq_len = random.between(1, 20), rows = seq_len * random.between(0, 5), heads = random.between(1, 4),
                  half = random.between(1, 40), stride = heads * 2 * half + random.below(9);
    const int64_t first = random.below(5);
    const auto x = random.reals(rows * stride), cos = random.reals((seq_len + first) * half), sin = random.reals((seq_len + first) * half);
    for (const bool inverse : {false, true}) {
      const auto out = everywhere("rope", [&](const Kernels& k, Pool& pool, Outputs& o) {
        k.rope({rows, seq_len, heads, 2 * half, {o.make<float>(rows * stride, x.data()), stride}, cos.data(), sin.data(), inverse, first},
               pool);
      });
      for (int64_t t = 0; t < rows; t++)
        for (int64_t h = 0; h < heads; h++)
          for (int64_t j = 0; j < half; j++) {
            const int64_t at = t * stride + h * 2 * half + j, angle = (t % seq_len + first) * half + j;
            const double a = x[z(at)], b = x[z(at + half)], c = cos[z(angle)], s = inverse ? -sin[z(angle)] : sin[z(angle)];
            near("rope", out.at<float>(0)[at], a * c - b * s, 3e-7), near("rope", out.at<float>(0)[at + half], b * c + a * s, 3e-7);
          }
    }
  }
}

// ---- positions ----

void test_positions() {
  Random random(6);
  for (int trial = 0; trial < 8; trial++) {
    const int64_t seq_len = random.between(1, 20), rows = seq_len * random.between(0, 5), dim = random.between(1, 90),
                  first = random.below(5);
    const auto x = random.reals(rows * dim), table = random.reals((seq_len + first) * dim);
    std::vector<int32_t> seen(z(rows), 0);
    for (int64_t t = 0; t < rows && trial % 2 == 1; t++) seen[z(t)] = static_cast<int32_t>(random.between(0, t % seq_len));
    const int32_t* first_seen = trial % 2 == 1 ? seen.data() : nullptr;
    const auto out = everywhere("positions.add", [&](const Kernels& k, Pool& pool, Outputs& o) {
      k.positions_add({rows, seq_len, dim, o.make<float>(rows * dim, x.data()), table.data(), first_seen, first}, pool);
    });
    for (int64_t t = 0; t < rows; t++)
      for (int64_t j = 0; j < dim; j++)
        near("positions.add", out.at<float>(0)[t * dim + j],
             static_cast<double>(x[z(t * dim + j)]) + table[z((t % seq_len - seen[z(t)] + first) * dim + j)], 1e-7);
  }
}

// ---- attention ----

void test_attention() {
  Random random(5);
  const int64_t lengths[] = {1, 5, 8, 16, 17, 33, 64, 100, 128, 129, 200, 300};
  const int64_t key_lengths[] = {1, 300, 7, 128, 40, 129, 257, 1, 16, 130};
  for (int trial = 0; trial < 24; trial++) {
    const bool causal = trial < 14;
    const int64_t batch = random.between(1, 2), kv_heads = random.between(1, 2), heads = kv_heads * random.between(1, 3),
                  seq_len = trial % 14 < 12 ? lengths[trial % 14] : random.between(129, 420),
                  key_len = causal ? seq_len : key_lengths[trial - 14];
    const int64_t dims[] = {16, 32, 64, 20, 7, 96, 48}, dim = dims[trial % 7], tokens = batch * seq_len, keys = batch * key_len;
    const int64_t q_stride = heads * dim + random.below(5), kv_stride = 2 * kv_heads * dim + random.below(5),
                  out_stride = heads * dim + random.below(3);
    const float scale = 1.0f / std::sqrt(static_cast<float>(dim)), sharp = trial % 3 == 0 ? 6.0f : 1.0f;
    const double slack = sharp > 1 ? 20 : 1;  // scores of hundreds are themselves rounded to about 1e-5
    const auto q = random.reals(tokens * q_stride, sharp), kv = random.reals(keys * kv_stride, sharp),
               d_out = random.reals(tokens * out_stride);
    std::vector<int32_t> seen(z(tokens), 0);
    const bool masked = trial % 2 == 1;
    for (int64_t t = 0; t < tokens; t++)
      seen[z(t)] = t % seq_len == 0 ? 0 : random.below(40) == 0 ? static_cast<int32_t>(t % seq_len) : seen[z(t - 1)];
    std::vector<int32_t> ends(z(tokens), 0);
    for (int64_t t = 0; t < tokens && !causal; t++) {  // any range, none, all, and runs of rows that see the same
      const bool as_before = t % seq_len > 0 && random.below(3) == 0;
      seen[z(t)] = as_before ? seen[z(t - 1)] : static_cast<int32_t>(random.between(0, key_len));
      ends[z(t)] = as_before ? ends[z(t - 1)] : static_cast<int32_t>(random.below(4) == 0 ? key_len : random.between(0, key_len));
    }
    const int32_t *first_seen = masked ? seen.data() : nullptr, *end_seen = causal ? nullptr : ends.data();
    const ConstRows Q{q.data(), q_stride}, K{kv.data(), kv_stride}, V{kv.data() + kv_heads * dim, kv_stride}, D{d_out.data(), out_stride};
    AttentionArgs shared = {batch, seq_len, heads, kv_heads, dim, scale, Q, K, V, first_seen, key_len, end_seen};
    const std::vector<int32_t> bucket_starts = {0, 1, 2, 3, 5, 9, 9, 40};
    const bool biased = trial % 3 != 0, two_sided = trial % 2 == 0;
    const int64_t one_side = static_cast<int64_t>(bucket_starts.size()), buckets = one_side * (two_sided ? 2 : 1);
    const auto table = random.reals(buckets * heads);
    if (biased) shared.bias = {table.data(), buckets, two_sided, bucket_starts.data(), one_side};
    const auto bucket_of = [&](int64_t t, int64_t j, int64_t end) {
      const int64_t distance = j - (two_sided ? t % seq_len : end - 1);
      const int64_t n = two_sided ? std::abs(distance) : std::max<int64_t>(0, -distance);
      int64_t bucket = 0;
      while (bucket + 1 < one_side && bucket_starts[z(bucket + 1)] <= n) bucket++;
      return bucket + (two_sided && distance > 0 ? one_side : 0);
    };
    const std::vector<int32_t> grains = {0, static_cast<int32_t>(seq_len), static_cast<int32_t>(tokens)};
    const auto forward = everywhere("attention.forward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      float* out = o.make<float>(tokens * out_stride);
      k.attention_forward({shared, {out, out_stride}, o.make<float>(tokens * heads)}, pool);
    });
    const auto backward = everywhere("attention.backward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      float* dq = o.make<float>(tokens * q_stride);
      float* dkv = o.make<float>(keys * kv_stride);
      const GradientTarget bias_sum = {o.make<int64_t>(buckets * heads), biased ? buckets * heads : 0, o.make<int32_t>(1), nullptr, false};
      k.attention_backward({shared,
                            {forward.at<float>(0), out_stride},
                            forward.at<float>(1),
                            D,
                            {dq, q_stride},
                            {dkv, kv_stride},
                            {dkv + kv_heads * dim, kv_stride},
                            bias_sum,
                            {grains.data(), 2}},
                           pool);
    });
    std::vector<double> dq(z(tokens * q_stride), 0), dkv(z(keys * kv_stride), 0), p(z(key_len)), dp(z(key_len)),
        d_bias(z(buckets * heads), 0);
    for (int64_t t = 0; t < tokens; t++)
      for (int64_t h = 0; h < heads; h++) {
        const int64_t start = t / seq_len * key_len, kv_at = h * kv_heads / heads * dim, low = masked ? seen[z(t)] : 0,
                      end = causal ? t % seq_len + 1 : ends[z(t)];
        double sum = 0, delta = 0;
        for (int64_t j = low; j < end; j++) {
          double s = 0, g = 0;
          for (int64_t d = 0; d < dim; d++) {
            s += static_cast<double>(q[z(t * q_stride + h * dim + d)]) * kv[z((start + j) * kv_stride + kv_at + d)];
            g += static_cast<double>(d_out[z(t * out_stride + h * dim + d)]) * kv[z((start + j) * kv_stride + kv_heads * dim + kv_at + d)];
          }
          p[z(j)] = std::exp(s * scale + (biased ? table[z(bucket_of(t, j, end) * heads + h)] : 0.0f)), dp[z(j)] = g;
          sum += p[z(j)];
        }
        const float lse = forward.at<float>(1)[t * heads + h];
        if (low >= end) expect(std::isinf(lse) && lse < 0, "attention.forward lse of nothing");
        else near("attention.forward lse", lse, std::log(sum), 5e-7 * slack);
        for (int64_t j = low; j < end; j++) p[z(j)] /= sum, delta += p[z(j)] * dp[z(j)];
        for (int64_t d = 0; d < dim; d++) {
          double o = 0;
          for (int64_t j = low; j < end; j++) o += p[z(j)] * kv[z((start + j) * kv_stride + kv_heads * dim + kv_at + d)];
          near("attention.forward", forward.at<float>(0)[t * out_stride + h * dim + d], o, slack * 3e-6);
        }
        for (int64_t j = low; j < end; j++) {
          const double ds = p[z(j)] * (dp[z(j)] - delta) * scale;
          if (biased) d_bias[z(bucket_of(t, j, end) * heads + h)] += ds / scale;
          for (int64_t d = 0; d < dim; d++) {
            dq[z(t * q_stride + h * dim + d)] += ds * kv[z((start + j) * kv_stride + kv_at + d)];
            dkv[z((start + j) * kv_stride + kv_at + d)] += ds * q[z(t * q_stride + h * dim + d)];
            dkv[z((start + j) * kv_stride + kv_heads * dim + kv_at + d)] += p[z(j)] * d_out[z(t * out_stride + h * dim + d)];
          }
        }
      }
    for (size_t i = 0; i < dq.size(); i++) near("attention.backward dq", backward.at<float>(0)[i], dq[i], slack * 1e-5);
    for (size_t i = 0; i < d_bias.size() && biased; i++)
      near("attention.backward bias", fixed(backward.at<int64_t>(2)[i]), d_bias[i], slack * 2e-5);
    expect(backward.at<int32_t>(3)[0] == 0, "attention.backward bias overflow");
    for (size_t i = 0; i < dkv.size(); i++) near("attention.backward dk, dv", backward.at<float>(1)[i], dkv[i], slack * 1e-5);
  }
}

}  // namespace

int main() {
  test_fill();
  test_embed();
  test_norm();
  test_rope();
  test_positions();
  test_attention();
  return report("rows");
}
