// Rounding to fixed point (KER-3). A leaf of a gradient that is NaN or too large adds 0 and sets the overflow flag; a term of a wide sum
// makes the sum WIDE_OVERFLOW.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "ops.h"

namespace troupe {
__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 Uint128;

namespace exact {

constexpr Int128 WIDE_OVERFLOW = static_cast<Int128>(~Uint128{0} >> 1);

// `static inline` everywhere: a linker may keep any copy of an `inline` function, also one built for a newer CPU.

static inline int64_t round_even(double x) { return static_cast<int64_t>(std::llrint(x)); }

/// Leaf of a gradient → multiples of 2^-50, ties to even; `bad` is or-ed with "NaN or |leaf| ≥ limit".
static inline int64_t from_gradient(float leaf, bool& bad, float limit = LEAF_LIMIT) {
  if (!(std::fabs(leaf) < limit)) {
    bad = true;
    return 0;
  }
  return round_even(static_cast<double>(leaf) * 0x1p50);
}

/// A term of a wide sum (128 bits, wide-sum.ts) in multiples of 2^-quantum, ties to even; NaN, and what is too large for any such sum,
/// gives WIDE_OVERFLOW.
static inline Int128 wide_term(double x, int quantum) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  const int exponent = static_cast<int>(bits >> 52 & 0x7ff);
  const int shift = exponent - 1023 - 52 + quantum;  // |x| = mantissa · 2^shift quanta, mantissa below 2^53
  if (shift >= 126 - 52) return WIDE_OVERFLOW;       // the exponents of infinity and NaN among them
  if (exponent == 0 || shift < -54) return 0;        // below 2^-1022, below half a quantum
  const uint64_t mantissa = (bits & 0xfffffffffffffull) | 0x10000000000000ull;
  Int128 size = mantissa;
  if (shift >= 0) {
    size <<= shift;
  } else {
    const uint64_t down = mantissa >> -shift, rest = mantissa - (down << -shift), half = uint64_t{1} << (-shift - 1);
    size = down + (rest > half || (rest == half && (down & 1)));
  }
  return bits >> 63 ? -size : size;
}

/// WIDE-1: once a sum leaves its range, or takes a term that did, it stays WIDE_OVERFLOW.
static inline Int128 wide_sum(Int128 a, Int128 b) {
  constexpr Int128 limit = Int128{1} << 126;
  if (a == WIDE_OVERFLOW || b == WIDE_OVERFLOW) return WIDE_OVERFLOW;
  const Int128 sum = a + b;  // both are within the limit, so this fits
  return sum < limit && sum > -limit ? sum : WIDE_OVERFLOW;
}

/// Adds a term to the sum in words[0] (low) and words[1].
static inline void add_wide(int64_t* words, Int128 term) {
  const Uint128 before = static_cast<Uint128>(static_cast<uint64_t>(words[1])) << 64 | static_cast<uint64_t>(words[0]);
  const Uint128 after = static_cast<Uint128>(wide_sum(static_cast<Int128>(before), term));
  words[0] = static_cast<int64_t>(static_cast<uint64_t>(after));
  words[1] = static_cast<int64_t>(static_cast<uint64_t>(after >> 64));
}

/// Quanta of loss-like sums and of squared norms are 2^-36 and 2^-80.
constexpr int LOSS_QUANTUM = 36, NORM_QUANTUM = 80;

/// The value of a wide sum; NaN where it is invalid.
static inline double wide_value(const int64_t* words, int quantum) {
  const Int128 sum = static_cast<Int128>(static_cast<Uint128>(static_cast<uint64_t>(words[1])) << 64 | static_cast<uint64_t>(words[0]));
  return sum == WIDE_OVERFLOW ? std::nan("") : std::ldexp(static_cast<double>(sum), -quantum);
}

/// f32 of a gradient sum, rounded once (int64 → f32 rounds once, the scale is a power of two).
static inline float to_float(int64_t sum) { return static_cast<float>(sum) * 0x1p-50f; }

/// Several threads may set the flag of one sum.
static inline void set_overflow(int32_t* flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }

}  // namespace exact
}  // namespace troupe
