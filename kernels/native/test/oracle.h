// The slow clear meaning of every product: scalar FMA chains in the order that KER-1 and KER-3 name. What the fast bodies must equal bit for bit.
#pragma once
#include <cmath>
#include <cstring>
#include <vector>

#include "../exact.h"
#include "../ops.h"

namespace oracle {

using troupe::Bounds;
using Floats = std::vector<float>;

/// c = start, then c = fma(a_k, b_k, c) for k = 0, 1, …
template <class A, class B>
float chain(float start, int64_t k, A a, B b) {
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
inline void linear(int64_t m, int64_t n, int64_t k, const float* x, int64_t xs, const float* w, const float* start, int64_t ss, float* y, int64_t ys) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++)
      y[i * ys + j] = chain(start ? start[i * ss + j] : 0.0f, k, [&](int64_t t) { return x[i * xs + t]; }, [&](int64_t t) { return w[j * k + t]; });
}

/// dx[m, k] = start + dy[m, n]·w[n, k]
inline void linear_input(int64_t m, int64_t n, int64_t k, const float* dy, int64_t ds, const float* w, const float* start, int64_t ss, float* dx, int64_t xs) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < k; j++)
      dx[i * xs + j] = chain(start ? start[i * ss + j] : 0.0f, n, [&](int64_t t) { return dy[i * ds + t]; }, [&](int64_t t) { return w[t * k + j]; });
}

/// sums[n, k] += leaf of dyᵀ·x over rows first … first+rows
inline void weight_leaf(int64_t first, int64_t rows, int64_t n, int64_t k, const float* dy, int64_t ds, const float* x, int64_t xs, int64_t* sums, int32_t& overflow) {
  if (rows == 0) return;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < k; j++)
      add_leaf(chain(0.0f, rows, [&](int64_t t) { return dy[(first + t) * ds + i]; }, [&](int64_t t) { return x[(first + t) * xs + j]; }), sums[i * k + j], overflow);
}

}  // namespace oracle
