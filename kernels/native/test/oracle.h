// The slow clear meaning of every product: scalar FMA chains in the order that KER-1 and KER-3 name. What the fast bodies must equal bit
// for bit.
#pragma once
#include <cmath>
#include <cstring>
#include <vector>

#include "../bf16.h"
#include "../exact.h"
#include "../fma.h"
#include "../ops.h"

namespace oracle {

using troupe::Bounds;
using troupe::Precision;
using Floats = std::vector<float>;

inline float round_bf16(float x) { return troupe::bf16_value(troupe::bf16_bits(x)); }

/// c = start, then c = fma(a_k, b_k, c) for k = 0, 1, …
/// In bf16 (KER-6): pairs of rounded operands, the second of a pair first, denormals as zeros, an odd end with a pair of zeros.
template <class A, class B>
float chain(Precision precision, float start, int64_t k, A a, B b) {
  if (precision == Precision::bf16) {
    for (int64_t i = 0; i < k; i += 2) {
      const bool whole = i + 1 < k;
      start = troupe::fma_flushed(whole ? round_bf16(a(i + 1)) : 0.0f, whole ? round_bf16(b(i + 1)) : 0.0f, start);
      start = troupe::fma_flushed(round_bf16(a(i)), round_bf16(b(i)), start);
    }
    return start;
  }
  for (int64_t i = 0; i < k; i++) start = std::fmaf(a(i), b(i), start);
  return start;
}

/// One leaf of a weight gradient added to a sum.
inline void add_leaf(float leaf, int64_t& sum, int32_t& overflow) {
  bool bad = false;
  sum += troupe::exact::from_gradient(leaf, bad);
  if (bad) overflow = 1;
}

/// y[m, n] = start + x[m, k]·w[n, k]ᵀ
inline void linear(Precision p, int64_t m, int64_t n, int64_t k, const float* x, int64_t xs, const float* w, const float* start, int64_t ss,
                   float* y, int64_t ys) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++)
      y[i * ys + j] = chain(
          p, start ? start[i * ss + j] : 0.0f, k, [&](int64_t t) { return x[i * xs + t]; }, [&](int64_t t) { return w[j * k + t]; });
}

/// dx[m, k] = start + dy[m, n]·w[n, k]
inline void linear_input(Precision p, int64_t m, int64_t n, int64_t k, const float* dy, int64_t ds, const float* w, const float* start,
                         int64_t ss, float* dx, int64_t xs) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < k; j++)
      dx[i * xs + j] = chain(
          p, start ? start[i * ss + j] : 0.0f, n, [&](int64_t t) { return dy[i * ds + t]; }, [&](int64_t t) { return w[t * k + j]; });
}

/// sums[n, k] += leaf of dyᵀ·x over rows first … first+rows
inline void weight_leaf(Precision p, int64_t first, int64_t rows, int64_t n, int64_t k, const float* dy, int64_t ds, const float* x,
                        int64_t xs, int64_t* sums, int32_t& overflow) {
  if (rows == 0) return;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < k; j++)
      add_leaf(chain(
                   p, 0.0f, rows, [&](int64_t t) { return dy[(first + t) * ds + i]; }, [&](int64_t t) { return x[(first + t) * xs + j]; }),
               sums[i * k + j], overflow);
}

}  // namespace oracle
