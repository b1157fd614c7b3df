// An exact fused multiply-add for CPUs whose compiler flags promise none: the same bits as the instruction.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace troupe {

/// a·b + c rounded once. The product is exact in double; the sum is rounded to odd, which a second rounding to
/// float then cannot spoil (Boldo and Melquiond 2008). Much faster than libm's software fmaf, and gcc vectorises it.
static inline float fma_exact(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return __builtin_fmaf(a, b, c);
#else
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = static_cast<double>(c);
  double sum = product + addend;
  const double part = sum - product;
  const double error = (product - (sum - part)) + (addend - part);
  uint64_t bits;
  std::memcpy(&bits, &sum, 8);
  // Not exact (and finite): make the last bit odd by stepping towards the true value when it is even.
  const bool inexact = error > 0 || error < 0;
  const bool even = (bits & 1) == 0;
  const bool away = (error > 0) == (sum > 0);  // the true value lies further from zero
  const uint64_t step = (inexact && even) ? (away ? 1ull : ~0ull) : 0ull;
  bits += step;
  std::memcpy(&sum, &bits, 8);
  return static_cast<float>(sum);
#endif
}

}  // namespace troupe
