// Rounding of leaves to fixed point (KER-3). A leaf that is NaN or too large adds 0 and sets the overflow flag.
#pragma once
#include <cmath>
#include <cstdint>

#include "ops.h"

namespace troupe {
namespace exact {

// `static inline` everywhere: a linker may keep any copy of an `inline` function, also one built for a newer CPU.

static inline int64_t round_even(double x) { return static_cast<int64_t>(std::llrint(x)); }

/// Leaf of a gradient → multiples of 2^-50, ties to even; `bad` is or-ed with "NaN or |leaf| ≥ 64".
static inline int64_t from_gradient(float leaf, bool& bad) {
  if (!(std::fabs(leaf) < 64.0f)) {
    bad = true;
    return 0;
  }
  return round_even(static_cast<double>(leaf) * 0x1p50);
}

/// Leaf of a loss-like sum → multiples of 2^-36; NaN or out of range gives the most negative integer of the range's edge.
static inline int64_t from_loss(double leaf) {
  if (!(std::fabs(leaf) < 0x1p27)) return INT64_MIN / 2;
  return round_even(leaf * 0x1p36);
}

/// f32 of a gradient sum, rounded once (int64 → f32 rounds once, the scale is a power of two).
static inline float to_float(int64_t sum) { return static_cast<float>(sum) * 0x1p-50f; }

/// Several threads may set the flag of one sum.
static inline void set_overflow(int32_t* flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }

}  // namespace exact
}  // namespace troupe
