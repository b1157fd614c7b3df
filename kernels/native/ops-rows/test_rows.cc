// Checks of every row-wise operation: the same bits on every instruction set this CPU has and on 1, 2 and 3 threads, values against
// plain float64 loops, and nothing written outside the outputs. Exit status 0 when all hold; `test_rows bench` also times.
// Build: test_rows.cc with pool.cc and the isa_*.cc of this architecture.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../ops.h"
#include "../pool.h"

using namespace troupe;

namespace {

int failures = 0;
long checks = 0;
void expect(bool ok, const std::string& what) {
  checks++;
  if (ok) return;
  if (++failures <= 40) printf("FAIL %s\n", what.c_str());
}

struct Random {
  uint64_t state;
  explicit Random(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15ull + 1) {}
  uint64_t bits() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(bits() % static_cast<uint64_t>(n)); }
  int64_t between(int64_t a, int64_t b) { return a + below(b - a + 1); }
  float real() { return static_cast<float>(static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0); }
  std::vector<float> reals(int64_t n, float scale = 1.0f) {
    std::vector<float> x(static_cast<size_t>(n));
    for (auto& v : x) v = scale * real();
    return x;
  }
};

/// Outputs of one run: each with a guard behind it.
struct Outputs {
  struct Array {
    std::vector<unsigned char> bytes;
    size_t used;
  };
  std::vector<std::unique_ptr<Array>> arrays;
  template <class T>
  T* make(int64_t n, const T* from = nullptr) {
    auto array = std::make_unique<Array>();
    array->used = static_cast<size_t>(n) * sizeof(T);
    array->bytes.assign(array->used + 64, 0xa5);
    if (from && n > 0) memcpy(array->bytes.data(), from, array->used);
    else memset(array->bytes.data(), 0, array->used);
    T* data = reinterpret_cast<T*>(array->bytes.data());
    arrays.push_back(std::move(array));
    return data;
  }
  template <class T>
  const T* at(size_t i) const { return reinterpret_cast<const T*>(arrays[i]->bytes.data()); }
};

std::vector<const Kernels*> isas() {
  std::vector<const Kernels*> all = {&kernels_portable()};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back(&kernels_avx2());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) all.push_back(&kernels_avx512());
#elif defined(__aarch64__)
  all.push_back(&kernels_neon());
#endif
  return all;
}
Pool& pool_of(int threads) {
  static std::unique_ptr<Pool> pools[4];
  auto& pool = pools[threads];
  if (!pool) pool = std::make_unique<Pool>(threads);
  return *pool;
}

using Run = std::function<void(const Kernels&, Pool&, Outputs&)>;

/// FNV-1a over every output of every test: equal on two machines when they compute the same bits.
uint64_t digest = 0xcbf29ce484222325ull;

/// Runs everywhere, compares bit for bit, returns the outputs of the last instruction set.
Outputs everywhere(const std::string& name, const Run& run) {
  Outputs first;
  bool have = false;
  for (const Kernels* kernels : isas()) {
    for (int threads = 1; threads <= 3; threads++) {
      Outputs out;
      run(*kernels, pool_of(threads), out);
      for (size_t a = 0; a < out.arrays.size(); a++) {
        const auto& array = *out.arrays[a];
        bool intact = true;
        for (size_t i = array.used; i < array.bytes.size(); i++) intact &= array.bytes[i] == 0xa5;
        expect(intact, name + ": writes behind output " + std::to_string(a) + " on " + kernels->isa);
        if (!have) continue;
        size_t at = 0;
        while (at < array.used && array.bytes[at] == first.arrays[a]->bytes[at]) at++;
        expect(at == array.used, name + ": output " + std::to_string(a) + " differs at byte " + std::to_string(at) + " on " + kernels->isa + " with " +
                                     std::to_string(threads) + " threads");
      }
      if (!have) first = std::move(out);
      have = true;
    }
  }
  for (const auto& array : first.arrays)
    for (size_t i = 0; i < array->used; i++) digest = (digest ^ array->bytes[i]) * 0x100000001b3ull;
  return first;
}

double worst_seen = 0;
std::string worst_name;
void near(const std::string& name, double found, double wanted, double tolerance) {
  const double error = std::fabs(found - wanted), limit = tolerance * (1.0 + std::fabs(wanted));
  if (!(error <= limit)) expect(false, name + ": found " + std::to_string(found) + ", wanted " + std::to_string(wanted));
  else checks++;
  if (error / limit > worst_seen) worst_seen = error / limit, worst_name = name;
}
double fixed(int64_t value) { return static_cast<double>(value) * 0x1p-50; }

std::vector<int32_t> random_bounds(Random& random, int64_t rows, int64_t count) {
  std::vector<int32_t> starts(static_cast<size_t>(count + 1), 0);
  for (int64_t g = 1; g < count; g++) starts[static_cast<size_t>(g)] = static_cast<int32_t>(random.below(rows + 1));
  starts[static_cast<size_t>(count)] = static_cast<int32_t>(rows);
  std::sort(starts.begin(), starts.end());
  return starts;
}
bool same_bytes(const void* a, const void* b, size_t bytes) { return bytes == 0 || memcmp(a, b, bytes) == 0; }
size_t z(int64_t i) { return static_cast<size_t>(i); }

// ---- fill ----

void philox(uint32_t c0, const uint32_t* key, uint32_t* words) {
  uint32_t c[4] = {c0, 0, 0, 0}, k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t{0xd2511f53} * c[0], p1 = uint64_t{0xcd9e8d57} * c[2];
    const uint32_t next[4] = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1), static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
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
    const int64_t n = trial < 4 ? 200000 : random.between(0, 400), first = trial < 4 ? 0 : random.below(1 << 20);
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
    if (n < 1000) continue;
    const double mean = sum / static_cast<double>(n), deviation = std::sqrt(squares / static_cast<double>(n) - mean * mean);
    if (kind == FillKind::normal) near("fill normal mean", mean, 0, 0.01), near("fill normal deviation", deviation, 1, 0.01);
    if (kind == FillKind::uniform) near("fill uniform deviation", deviation, std::sqrt(1.0 / 3), 0.01), expect(largest <= 1, "fill uniform range");
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
    const int64_t tokens = trial == 0 ? 0 : random.between(1, 700), vocab = random.between(1, trial % 2 ? 20 : 5000), dim = random.between(1, 150), grains = random.between(1, 5);
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
      ExactSum s{o.make<int64_t>(vocab * dim), vocab * dim, nullptr};
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
    const int64_t rows = trial == 0 ? 0 : random.between(1, 90), groups = random.between(1, 3), dim = random.between(1, 140), grains = random.between(1, 4);
    const int64_t stride = groups * dim + random.below(20);
    const auto x = random.reals(rows * stride, 3), weight = random.reals(dim), bias = random.reals(dim), d_out = random.reals(rows * stride), before = random.reals(rows * stride);
    const auto starts = random_bounds(random, rows, grains);
    const double eps = 1e-5;
    const auto forward = everywhere("norm.forward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      NormForwardArgs a{kind, rows, groups, dim, eps, {x.data(), stride}, weight.data(), layer ? bias.data() : nullptr, {o.make<float>(rows * stride), stride}, nullptr};
      a.stats = o.make<float>(2 * rows * groups);
      k.norm_forward(a, pool);
    });
    const auto backward = everywhere("norm.backward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      NormBackwardArgs a{kind, rows, groups, dim, {x.data(), stride}, weight.data(), forward.at<float>(1), {d_out.data(), stride}, {o.make<float>(rows * stride, before.data()), stride},
                         accumulate, {starts.data(), grains}, {o.make<int64_t>(dim), dim, nullptr}, {nullptr, 0, nullptr}};
      a.weight_sum.overflow = o.make<int32_t>(1);
      if (layer) a.bias_sum = {o.make<int64_t>(dim), dim, a.weight_sum.overflow};
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
        near("norm.backward dx", backward.at<float>(0)[at + j], (g - level - hat * slope) * inv + (accumulate ? before[z(at + j)] : 0), 3e-6);
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
    const int64_t seq_len = random.between(1, 20), rows = seq_len * random.between(0, 5), heads = random.between(1, 4), half = random.between(1, 40), stride = heads * 2 * half + random.below(9);
    const int64_t first = random.below(5);
    const auto x = random.reals(rows * stride), cos = random.reals((seq_len + first) * half), sin = random.reals((seq_len + first) * half);
    for (const bool inverse : {false, true}) {
      const auto out = everywhere("rope", [&](const Kernels& k, Pool& pool, Outputs& o) {
        k.rope({rows, seq_len, heads, 2 * half, {o.make<float>(rows * stride, x.data()), stride}, cos.data(), sin.data(), inverse, first}, pool);
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

// ---- attention ----

void test_attention() {
  Random random(5);
  const int64_t lengths[] = {1, 5, 8, 16, 17, 33, 64, 100, 128, 129, 200, 300};
  for (int trial = 0; trial < 14; trial++) {
    const int64_t batch = random.between(1, 2), kv_heads = random.between(1, 2), heads = kv_heads * random.between(1, 3), seq_len = trial < 12 ? lengths[trial] : random.between(129, 420);
    const int64_t dims[] = {16, 32, 64, 20, 7, 96, 48}, dim = dims[trial % 7], tokens = batch * seq_len;
    const int64_t q_stride = heads * dim + random.below(5), kv_stride = 2 * kv_heads * dim + random.below(5), out_stride = heads * dim + random.below(3);
    const float scale = 1.0f / std::sqrt(static_cast<float>(dim)), sharp = trial % 3 == 0 ? 6.0f : 1.0f;
    const double slack = sharp > 1 ? 20 : 1;  // scores of hundreds are themselves rounded to about 1e-5
    const auto q = random.reals(tokens * q_stride, sharp), kv = random.reals(tokens * kv_stride, sharp), d_out = random.reals(tokens * out_stride);
    std::vector<int32_t> seen(z(tokens), 0);
    const bool masked = trial % 2 == 1;
    for (int64_t t = 0; t < tokens; t++) seen[z(t)] = t % seq_len == 0 ? 0 : random.below(40) == 0 ? static_cast<int32_t>(t % seq_len) : seen[z(t - 1)];
    const int32_t* first_seen = masked ? seen.data() : nullptr;
    const ConstRows Q{q.data(), q_stride}, K{kv.data(), kv_stride}, V{kv.data() + kv_heads * dim, kv_stride}, D{d_out.data(), out_stride};
    const auto forward = everywhere("attention.forward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      AttentionForwardArgs a{batch, seq_len, heads, kv_heads, dim, scale, Q, K, V, first_seen, {o.make<float>(tokens * out_stride), out_stride}, nullptr};
      a.lse = o.make<float>(tokens * heads);
      k.attention_forward(a, pool);
    });
    const auto backward = everywhere("attention.backward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      float* dq = o.make<float>(tokens * q_stride);
      float* dkv = o.make<float>(tokens * kv_stride);
      k.attention_backward({batch, seq_len, heads, kv_heads, dim, scale, Q, K, V, first_seen, {forward.at<float>(0), out_stride}, forward.at<float>(1), D,
                            {dq, q_stride}, {dkv, kv_stride}, {dkv + kv_heads * dim, kv_stride}}, pool);
    });
    std::vector<double> dq(z(tokens * q_stride), 0), dkv(z(tokens * kv_stride), 0), p(z(seq_len)), dp(z(seq_len));
    for (int64_t t = 0; t < tokens; t++)
      for (int64_t h = 0; h < heads; h++) {
        const int64_t start = t - t % seq_len, kv_at = h * kv_heads / heads * dim, low = masked ? seen[z(t)] : 0, high = t % seq_len;
        double sum = 0, delta = 0;
        for (int64_t j = low; j <= high; j++) {
          double s = 0, g = 0;
          for (int64_t d = 0; d < dim; d++) {
            s += static_cast<double>(q[z(t * q_stride + h * dim + d)]) * kv[z((start + j) * kv_stride + kv_at + d)];
            g += static_cast<double>(d_out[z(t * out_stride + h * dim + d)]) * kv[z((start + j) * kv_stride + kv_heads * dim + kv_at + d)];
          }
          p[z(j)] = std::exp(s * scale), dp[z(j)] = g;
          sum += p[z(j)];
        }
        near("attention.forward lse", forward.at<float>(1)[t * heads + h], std::log(sum), 5e-7 * slack);
        for (int64_t j = low; j <= high; j++) p[z(j)] /= sum, delta += p[z(j)] * dp[z(j)];
        for (int64_t d = 0; d < dim; d++) {
          double o = 0;
          for (int64_t j = low; j <= high; j++) o += p[z(j)] * kv[z((start + j) * kv_stride + kv_heads * dim + kv_at + d)];
          near("attention.forward", forward.at<float>(0)[t * out_stride + h * dim + d], o, slack * 3e-6);
        }
        for (int64_t j = low; j <= high; j++) {
          const double ds = p[z(j)] * (dp[z(j)] - delta) * scale;
          for (int64_t d = 0; d < dim; d++) {
            dq[z(t * q_stride + h * dim + d)] += ds * kv[z((start + j) * kv_stride + kv_at + d)];
            dkv[z((start + j) * kv_stride + kv_at + d)] += ds * q[z(t * q_stride + h * dim + d)];
            dkv[z((start + j) * kv_stride + kv_heads * dim + kv_at + d)] += p[z(j)] * d_out[z(t * out_stride + h * dim + d)];
          }
        }
      }
    for (size_t i = 0; i < dq.size(); i++) near("attention.backward dq", backward.at<float>(0)[i], dq[i], slack * 1e-5);
    for (size_t i = 0; i < dkv.size(); i++) near("attention.backward dk, dv", backward.at<float>(1)[i], dkv[i], slack * 1e-5);
  }
}

// ---- gate ----

void test_gate() {
  Random random(6);
  for (int trial = 0; trial < 20; trial++) {
    const int64_t tokens = trial == 0 ? 0 : random.between(1, 300), experts = random.between(1, 70), top_k = random.between(1, std::min<int64_t>(experts, 8)), groups = random.between(1, 5);
    const bool renormalise = trial % 2 == 0, given = trial % 5 == 4, global = trial % 4 == 1;
    auto logits = random.reals(tokens * experts, 4);
    for (auto& v : logits) if (random.below(6) == 0) v = 1.0f;  // ties
    std::vector<uint8_t> valid(z(tokens));
    for (auto& v : valid) v = random.below(8) != 0;
    const uint8_t* mask = trial % 3 ? valid.data() : nullptr;
    std::vector<int32_t> choices(z(tokens * top_k), -1);
    if (given) for (int64_t t = 0; t < tokens; t++) {
      const int64_t first = random.below(experts);
      for (int64_t c = 0; c < top_k; c++) choices[z(t * top_k + c)] = random.below(5) == 0 ? -1 : static_cast<int32_t>((first + c) % experts);
    }
    const auto starts = random_bounds(random, tokens, groups);
    const auto forward = everywhere("gate.forward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      GateForwardArgs a{tokens, experts, top_k, renormalise, logits.data(), mask, given, nullptr, nullptr, nullptr};
      a.probs = o.make<float>(tokens * experts), a.choices = o.make<int32_t>(tokens * top_k, choices.data()), a.weights = o.make<float>(tokens * top_k);
      k.gate_forward(a, pool);
    });
    const float* probs = forward.at<float>(0);
    const int32_t* chosen = forward.at<int32_t>(1);
    const float* weights = forward.at<float>(2);
    const auto balance = everywhere("balance.forward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      BalanceForwardArgs a{tokens, experts, top_k, logits.data(), probs, chosen, mask, {starts.data(), groups}, nullptr, nullptr, nullptr, nullptr};
      a.fractions = o.make<float>(groups * experts), a.loss_sums = o.make<int64_t>(2), a.counts = o.make<int32_t>(experts), a.prob_sums = o.make<int64_t>(experts);
      k.balance_forward(a, pool);
    });
    const auto d_weights = random.reals(tokens * top_k);
    const double aux = 0.3, z_scale = trial % 2 ? 0.01 : 0.0;
    const auto backward = everywhere("gate.backward", [&](const Kernels& k, Pool& pool, Outputs& o) {
      k.gate_backward({tokens, experts, top_k, renormalise, logits.data(), probs, chosen, weights, d_weights.data(), mask, {starts.data(), groups}, balance.at<float>(0), global, aux, z_scale,
                       o.make<float>(tokens * experts)}, pool);
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
        std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits[z(t * experts + a)] > logits[z(t * experts + b)]; });
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
          for (int64_t e = 0; e < experts; e++) expect(backward.at<float>(0)[t * experts + e] == 0.0f, "gate.backward leaves padding alone");
          continue;
        }
        squares += lse * lse;
        for (int64_t e = 0; e < experts; e++) {
          mean[z(e)] += p[z(e)], prob_sums[z(e)] += p[z(e)];
          d[z(e)] = aux * static_cast<double>(experts) * balance.at<float>(0)[(global ? 0 : g * experts) + e] / (global ? 1.0 : static_cast<double>(num_valid));
        }
        for (int64_t c = 0; c < top_k; c++) {
          const int32_t e = chosen[t * top_k + c];
          if (e >= 0) d[z(e)] += divide ? (d_weights[z(t * top_k + c)] - along) / total : static_cast<double>(d_weights[z(t * top_k + c)]);
        }
        double inner = 0;
        for (int64_t e = 0; e < experts; e++) inner += p[z(e)] * d[z(e)];
        for (int64_t e = 0; e < experts; e++) near("gate.backward", backward.at<float>(0)[t * experts + e], p[z(e)] * (d[z(e)] - inner + 2 * z_scale * lse), 3e-5);
      }
      for (int64_t e = 0; e < experts; e++) {
        const double f = num_valid ? static_cast<double>(count[z(e)]) / static_cast<double>(num_valid * top_k) : 0;
        near("balance.forward fractions", balance.at<float>(0)[g * experts + e], f, 1e-7);
        if (num_valid) loss += static_cast<double>(experts) * f * mean[z(e)] / static_cast<double>(num_valid);
        counts[z(e)] += count[z(e)];
      }
    }
    near("balance.forward loss", static_cast<double>(balance.at<int64_t>(1)[0]) * 0x1p-36, loss, 1e-6);
    near("balance.forward z", static_cast<double>(balance.at<int64_t>(1)[1]) * 0x1p-36, squares, 1e-6);
    for (int64_t e = 0; e < experts; e++) {
      expect(balance.at<int32_t>(2)[e] == counts[z(e)], "balance.forward counts");
      near("balance.forward probabilities", static_cast<double>(balance.at<int64_t>(3)[e]) * 0x1p-36, prob_sums[z(e)], 1e-6);
    }
  }
}

// ---- route, combine ----

void test_route() {
  Random random(7);
  for (int trial = 0; trial < 16; trial++) {
    const int64_t tokens = trial == 0 ? 0 : random.between(1, 300), ranks = random.between(1, 4), experts = ranks * random.between(1, 8), top_k = random.between(1, std::min<int64_t>(experts, 4)), grains = random.between(1, 4);
    const int64_t dim = random.between(1, 100);
    std::vector<int32_t> choices(z(tokens * top_k));
    for (int64_t t = 0; t < tokens; t++) {
      const int64_t first = random.below(experts);
      for (int64_t c = 0; c < top_k; c++) choices[z(t * top_k + c)] = random.below(9) == 0 ? -1 : static_cast<int32_t>((first + c) % experts);
    }
    const auto starts = random_bounds(random, tokens, grains);
    const auto plan = everywhere("route.plan", [&](const Kernels& k, Pool& pool, Outputs& o) {
      RoutePlanArgs a{tokens, experts, top_k, ranks, choices.data(), {starts.data(), grains}, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
      a.counts = o.make<int32_t>(experts * grains), a.position = o.make<int32_t>(tokens * top_k), a.slots = o.make<int32_t>(tokens * top_k), a.choice_of_row = o.make<int32_t>(tokens * top_k);
      a.rank_tokens = o.make<int32_t>(ranks * tokens), a.num_tokens = o.make<int32_t>(ranks), a.num_rows = o.make<int32_t>(ranks);
      k.route_plan(a, pool);
    });
    int32_t row = 0;
    for (int64_t r = 0; r < ranks; r++) {
      std::vector<int32_t> needed;
      for (int64_t t = 0; t < tokens; t++) {
        bool needs = false;
        for (int64_t c = 0; c < top_k; c++) needs |= choices[z(t * top_k + c)] >= 0 && choices[z(t * top_k + c)] / (experts / ranks) == r;
        if (needs) needed.push_back(static_cast<int32_t>(t));
      }
      expect(plan.at<int32_t>(5)[r] == static_cast<int32_t>(needed.size()), "route.plan number of tokens");
      for (size_t i = 0; i < needed.size(); i++) expect(plan.at<int32_t>(4)[r * tokens + static_cast<int64_t>(i)] == needed[i], "route.plan tokens of a rank");
      const int32_t before = row;
      for (int64_t e = r * (experts / ranks); e < (r + 1) * (experts / ranks); e++)
        for (int64_t g = 0; g < grains; g++) {
          int32_t count = 0;
          for (int64_t i = starts[z(g)] * top_k; i < starts[z(g + 1)] * top_k; i++) {
            if (choices[z(i)] != e) continue;
            count++;
            expect(plan.at<int32_t>(1)[i] == row && plan.at<int32_t>(3)[row] == i, "route.plan rows by (expert, token)");
            expect(needed[z(plan.at<int32_t>(2)[row])] == i / top_k, "route.plan slots");
            row++;
          }
          expect(plan.at<int32_t>(0)[e * grains + g] == count, "route.plan counts");
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
      k.combine({tokens, top_k, dim, parts.data(), ranks, position, weighed ? weights.data() : nullptr, based ? base.data() : nullptr, o.make<float>(tokens * dim)}, pool);
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
      if (position[i] >= 0) for (int64_t j = 0; j < dim; j++) dot += static_cast<double>(base[z(i / top_k * dim + j)]) * rows[z(position[i] * dim + j)];
      near("combine.backward.weights", out.at<float>(1)[i], dot, 3e-6);
    }
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
    const AdamWArgs step{weights.data(), nullptr, nullptr, nullptr, a.data(), n, 0.01, 0.001, 0.9, 0.999, 1e-8, 0.1, 0.19, 0.002};
    const auto out = everywhere("sums", [&](const Kernels& k, Pool& pool, Outputs& o) {
      ExactSum s{o.make<int64_t>(n, a.data()), n, nullptr};
      s.overflow = o.make<int32_t>(1);
      k.sum_add({s, b.data(), trial % 2 == 1}, pool);
      k.sum_read({s.values, o.make<float>(n), n}, pool);
      const int64_t start[2] = {-5, -1};
      k.sum_squares({a.data(), n, o.make<int64_t>(2, start)}, pool);
      AdamWArgs args = step;
      args.out = o.make<float>(n), args.m = o.make<float>(n, m.data()), args.v = o.make<float>(n, v.data());
      k.adamw(args, pool);
      ExactSum zero{o.make<int64_t>(n, a.data()), n, nullptr};
      const int32_t one = 1;
      zero.overflow = o.make<int32_t>(1, &one);
      k.sum_reset({zero}, pool);
    });
    expect(*out.at<int32_t>(1) == trial % 2, "sum.add or-s the flag");
    double squares = 0;
    for (int64_t i = 0; i < n; i++) {
      expect(out.at<int64_t>(0)[i] == a[z(i)] + b[z(i)], "sum.add");
      expect(out.at<float>(2)[i] == static_cast<float>(a[z(i)] + b[z(i)]) * 0x1p-50f, "sum.read rounds once");
      const double g = static_cast<float>(a[z(i)]) * 0x1p-50f;
      squares += g * g;
      const double scaled = g * 0.01, wanted_m = 0.9 * m[z(i)] + 0.1 * scaled, wanted_v = 0.999 * v[z(i)] + 0.001 * scaled * scaled;
      near("adamw m", out.at<float>(5)[i], wanted_m, 1e-6), near("adamw v", out.at<float>(6)[i], wanted_v, 1e-6);
      near("adamw", out.at<float>(4)[i], weights[z(i)] * (1 - 0.001 * 0.1) - 0.001 * (wanted_m / 0.19) / (std::sqrt(wanted_v / 0.002) + 1e-8), 1e-6);
      expect(out.at<int64_t>(7)[i] == 0, "sum.reset");
    }
    expect(*out.at<int32_t>(8) == 0, "sum.reset clears the flag");
    const double norm = static_cast<double>(out.at<int64_t>(3)[1]) * 0x1p-16 + static_cast<double>(static_cast<uint64_t>(out.at<int64_t>(3)[0])) * 0x1p-80;
    if (n > 0) near("sum.squares", norm / (squares + 1e-30), 1, 1e-9);
  }
  // Leaves that lie half way between two quanta of a norm go to the even one: 2·(2^9)² of 2^-100 is half of 2^-80.
  for (const int64_t extra : {int64_t{0}, int64_t{1024}}) {
    const int64_t halves[3] = {512, 512, extra};
    const auto out = everywhere("sum.squares ties", [&](const Kernels& k, Pool& pool, Outputs& o) { k.sum_squares({halves, 3, o.make<int64_t>(2)}, pool); });
    expect(out.at<int64_t>(0)[0] == (extra == 0 ? 0 : 2) && out.at<int64_t>(0)[1] == 0, "sum.squares rounds ties to even");
  }
  // Leaves at and over the limit, and NaN: nothing is added but the flag.
  const float special[20] = {63.999996f, 64.0f, -64.0f, -63.999996f, NAN, INFINITY, -INFINITY, 0x1p-51f, 0x1.8p-50f, -0x1p-51f, 0x1.8p-51f, 1e-40f, -0.0f, 1, -1, 33.25f, 2, 3, 64, 5};
  std::vector<int32_t> id = {0}, starts = {0, 1};
  for (const int64_t dim : {int64_t{16}, int64_t{20}, int64_t{7}}) {
    const auto out = everywhere("limits", [&](const Kernels& k, Pool& pool, Outputs& o) {
      ExactSum s{o.make<int64_t>(dim), dim, nullptr};
      s.overflow = o.make<int32_t>(1);
      k.embed_backward({id.data(), 1, special, 1, dim, {starts.data(), 1}, s}, pool);
    });
    expect(*out.at<int32_t>(1) == 1, "a leaf out of range sets the flag");
    for (int64_t j = 0; j < dim; j++)
      expect(out.at<int64_t>(0)[j] == (std::fabs(special[j]) < 64 ? std::llrint(static_cast<double>(special[j]) * 0x1p50) : 0), "leaf " + std::to_string(special[j]));
  }
}

// ---- times ----

double median_ms(const std::function<void()>& f) {
  std::vector<double> times;
  f();
  for (int i = 0; i < 11; i++) {
    const auto start = std::chrono::steady_clock::now();
    f();
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}
/// Huge-page memory as the device's own arena has; lives until the process ends.
template <class T>
T* arena(int64_t n) { return static_cast<T*>(allocate_aligned(static_cast<size_t>(n) * sizeof(T))); }
float* arena_reals(Random& random, int64_t n) {
  float* x = arena<float>(n);
  for (int64_t i = 0; i < n; i++) x[i] = random.real();
  return x;
}

void bench(const Kernels& k) {
  Random random(9);
  printf("%s: median of 11, ms on 1 and 2 threads\n", k.isa);
  const auto report = [&](const std::string& name, double amount, const char* unit, const std::function<void(Pool&)>& f) {
    const double one = median_ms([&] { f(pool_of(1)); }), two = median_ms([&] { f(pool_of(2)); });
    printf("  %-44s %8.3f %8.3f   %7.1f %7.1f %s\n", name.c_str(), one, two, amount / one * 1e-6, amount / two * 1e-6, unit);
  };
  const struct { int64_t batch, seq_len, heads, kv_heads, dim; } shapes[] = {{32, 128, 4, 4, 64}, {32, 128, 8, 8, 32}, {16, 256, 4, 2, 64}, {4, 1024, 4, 4, 64}, {2, 2048, 4, 2, 128}, {32, 128, 4, 2, 128}};
  for (const auto& s : shapes) {
    const int64_t tokens = s.batch * s.seq_len, width = s.heads * s.dim, kv_width = s.kv_heads * s.dim, stride = width + 2 * kv_width;
    float *qkv = arena_reals(random, tokens * stride), *d_out = arena_reals(random, tokens * width), *out = arena<float>(tokens * width), *lse = arena<float>(tokens * s.heads), *d_qkv = arena<float>(tokens * stride);
    const float scale = 1.0f / std::sqrt(static_cast<float>(s.dim));
    const double pairs = static_cast<double>(s.batch * s.heads) * static_cast<double>(s.seq_len) * static_cast<double>(s.seq_len + 1) / 2;
    const std::string name = "B" + std::to_string(s.batch) + " S" + std::to_string(s.seq_len) + " H" + std::to_string(s.heads) + "/" + std::to_string(s.kv_heads) + " d" + std::to_string(s.dim);
    report("attention.forward " + name, pairs * 4 * static_cast<double>(s.dim), "GFLOP/s", [&](Pool& pool) {
      k.attention_forward({s.batch, s.seq_len, s.heads, s.kv_heads, s.dim, scale, {qkv, stride}, {qkv + width, stride}, {qkv + width + kv_width, stride}, nullptr, {out, width}, lse}, pool);
    });
    report("attention.backward " + name, pairs * 10 * static_cast<double>(s.dim), "GFLOP/s", [&](Pool& pool) {
      k.attention_backward({s.batch, s.seq_len, s.heads, s.kv_heads, s.dim, scale, {qkv, stride}, {qkv + width, stride}, {qkv + width + kv_width, stride}, nullptr, {out, width}, lse, {d_out, width},
                            {d_qkv, stride}, {d_qkv + width, stride}, {d_qkv + width + kv_width, stride}}, pool);
    });
  }
  {
    const int64_t n = 8 << 20;
    float *w = arena_reals(random, n), *m = arena_reals(random, n), *v = arena<float>(n);
    int64_t* sum = arena<int64_t>(n);
    for (int64_t i = 0; i < n; i++) sum[i] = static_cast<int64_t>(random.bits()) >> 16, v[i] = 0.01f;
    report("adamw 8M", static_cast<double>(n) * 32, "GB/s", [&](Pool& pool) { k.adamw({w, w, m, v, sum, n, 0.01, 0.001, 0.9, 0.999, 1e-8, 0.1, 0.19, 0.002}, pool); });
    int64_t norm[2] = {0, 0};
    report("sum.squares 8M", static_cast<double>(n) * 8, "GB/s", [&](Pool& pool) { k.sum_squares({sum, n, norm}, pool); });
    report("sum.add 8M", static_cast<double>(n) * 24, "GB/s", [&](Pool& pool) { int32_t flag = 0; k.sum_add({{sum, n, &flag}, sum, false}, pool); });
    report("fill truncated normal 8M", static_cast<double>(n), "G/s", [&](Pool& pool) { k.fill({w, n, FillKind::truncated_normal, 0.02, {1, 2}, 0}, pool); });
  }
  {
    const int64_t rows = 4096, dim = 256, grains = 8;
    float *x = arena_reals(random, rows * dim), *w = arena_reals(random, dim), *d = arena_reals(random, rows * dim), *out = arena<float>(rows * dim), *stats = arena<float>(2 * rows);
    int64_t* sum = arena<int64_t>(dim);
    int32_t flag = 0, starts[9];
    for (int i = 0; i <= 8; i++) starts[i] = i * 512;
    const double bytes = static_cast<double>(rows * dim * 4);
    report("norm.forward rms 4096x256", bytes * 2, "GB/s", [&](Pool& pool) { k.norm_forward({NormKind::rms, rows, 1, dim, 1e-5, {x, dim}, w, nullptr, {out, dim}, stats}, pool); });
    report("norm.backward rms 4096x256, 8 grains", bytes * 4, "GB/s", [&](Pool& pool) {
      k.norm_backward({NormKind::rms, rows, 1, dim, {x, dim}, w, stats, {d, dim}, {out, dim}, true, {starts, grains}, {sum, dim, &flag}, {nullptr, 0, nullptr}}, pool);
    });
    const int64_t vocab = 32000;
    int64_t* table = arena<int64_t>(vocab * dim);
    std::vector<int32_t> ids(z(rows));
    for (auto& id : ids) id = static_cast<int32_t>(std::pow(static_cast<double>(vocab), static_cast<double>(random.bits() >> 11) * 0x1p-53)) - 1;  // about Zipf
    report("embed.backward 4096x256, V 32000", bytes + bytes * 4, "GB/s", [&](Pool& pool) { k.embed_backward({ids.data(), rows, d, vocab, dim, {starts, grains}, {table, vocab * dim, &flag}}, pool); });
    const int64_t experts = 64, top_k = 8;
    float *logits = arena_reals(random, rows * experts), *probs = arena<float>(rows * experts), *weights = arena<float>(rows * top_k), *d_weights = arena_reals(random, rows * top_k), *fractions = arena<float>(32 * experts), *d_logits = arena<float>(rows * experts);
    int32_t *choices = arena<int32_t>(rows * top_k), *counts = arena<int32_t>(experts * grains), *plan = arena<int32_t>(rows * top_k * 4), groups[33];
    for (int i = 0; i <= 32; i++) groups[i] = i * 128;
    int64_t losses[2] = {0, 0}, prob_sums[64] = {0};
    const double cells = static_cast<double>(rows * experts);
    report("gate.forward 4096 of 64, top 8", cells, "Gcell/s", [&](Pool& pool) { k.gate_forward({rows, experts, top_k, true, logits, nullptr, false, probs, choices, weights}, pool); });
    report("balance.forward", cells, "Gcell/s", [&](Pool& pool) { k.balance_forward({rows, experts, top_k, logits, probs, choices, nullptr, {groups, 32}, fractions, losses, counts, prob_sums}, pool); });
    report("gate.backward", cells, "Gcell/s", [&](Pool& pool) {
      k.gate_backward({rows, experts, top_k, true, logits, probs, choices, weights, d_weights, nullptr, {groups, 32}, fractions, false, 0.01, 0.001, d_logits}, pool);
    });
    int32_t numbers[2];
    const int64_t n = rows * top_k;
    report("route.plan", static_cast<double>(n), "Grow/s", [&](Pool& pool) { k.route_plan({rows, experts, top_k, 1, choices, {starts, grains}, counts, plan, plan + n, plan + 2 * n, plan + 3 * n, numbers, numbers + 1}, pool); });
    float* big = arena_reals(random, n * dim);
    const RowsPart part{0, n, big};
    report("combine 4096x8x256", bytes * 10, "GB/s", [&](Pool& pool) { k.combine({rows, top_k, dim, &part, 1, plan, weights, x, out}, pool); });
    report("combine.backward.weights", bytes * 9, "GB/s", [&](Pool& pool) { k.combine_backward_weights({rows, top_k, dim, &part, 1, plan, d, d_weights}, pool); });
    float *cos = arena_reals(random, 128 * 32), *sin = arena_reals(random, 128 * 32);
    report("rope 4096x4x64", bytes * 2, "GB/s", [&](Pool& pool) { k.rope({rows, 128, 4, 64, {out, dim}, cos, sin, false, 0}, pool); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  test_fill();
  test_embed();
  test_norm();
  test_rope();
  test_attention();
  test_gate();
  test_route();
  test_sums();
  std::string names;
  for (const Kernels* k : isas()) names += std::string(" ") + k->isa;
  printf("rows:%s; %ld checks, %d failed; closest to its tolerance: %s (%.2f); bits %016llx\n", names.c_str(), checks, failures, worst_name.c_str(), worst_seen,
         static_cast<unsigned long long>(digest));
  if (failures == 0 && argc > 1 && strcmp(argv[1], "bench") == 0) {
    for (const Kernels* k : isas()) if (strcmp(k->isa, "portable") != 0) bench(*k);
  }
  return failures == 0 ? 0 : 1;
}
