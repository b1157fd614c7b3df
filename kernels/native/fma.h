// An exact fused multiply-add for CPUs whose compiler flags promise none: the same bits as the instruction.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace troupe {

/// a·b + c in double, rounded to odd: a second rounding to float then gives the once-rounded result (Boldo and Melquiond 2008).
static inline double fma_odd(float a, float b, float c) {
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
  return sum;
}

/// a·b + c rounded once. Much faster than libm's software fmaf, and gcc vectorises it.
static inline float fma_exact(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return __builtin_fmaf(a, b, c);
#else
  return static_cast<float>(fma_odd(a, b, c));
#endif
}

/// x, or a zero of its sign where x is denormal.
static inline float flushed(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }

/// a·b + c rounded once, denormal inputs and outputs taken as zeros: one half of vdpbf16ps. Whether an output is denormal is decided
/// after rounding, as x86 does: from 2^-126 - 2^-151 on it would round up to the smallest normal number.
static inline float fma_flushed(float a, float b, float c) {
  const double sum = fma_odd(flushed(a), flushed(b), flushed(c));
  return std::fabs(sum) < 0x1p-126 - 0x1p-151 ? std::copysign(0.0f, static_cast<float>(sum)) : static_cast<float>(sum);
}

}  // namespace troupe
