// bf16 as the upper half of an f32, one number at a time: what simd/bf16.h does sixteen at a time.
#pragma once
#include <cstdint>
#include <cstring>

namespace troupe {

/// Operands of the matrix products (KER-6).
enum class Precision { f32, bf16 };

/// bf16 of x in the low sixteen bits: nearest, ties to even; a denormal f32 becomes a zero of its sign, NaN stays NaN.
static inline uint32_t bf16_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const uint32_t magnitude = bits & 0x7fffffffu, top = bits >> 16;
  const uint32_t rounded = (bits + 0x7fffu + (top & 1u)) >> 16;
  return magnitude > 0x7f800000u ? (top | 0x40u) : magnitude < 0x00800000u ? (top & 0x8000u) : rounded;
}

static inline float bf16_value(uint32_t bits) {
  bits <<= 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

}  // namespace troupe
