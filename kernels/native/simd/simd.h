// Sixteen f32 lanes on every instruction set, with the same bits on all of them.
//
// The including file defines one of TROUPE_ISA_AVX512 (F, DQ, BW, VL), TROUPE_ISA_AVX2 (AVX2, FMA), TROUPE_ISA_NEON
// (AArch64) or TROUPE_ISA_PORTABLE. Compile with -ffp-contract=off: only vfma and its relatives fuse.
//
// SIMD-1: every lane operation is the IEEE operation of its name in round-to-nearest-even; vdiv and vsqrt are exact, nothing
//         approximates. vmin(a, b) is a < b ? a : b and vmax(a, b) is a > b ? a : b, so that a NaN in `b` goes through and
//         one in `a` does not. Which NaN (payload, sign) comes out is not defined.
// SIMD-2: an absent lane (tails, vloadn) reads as +0 or as the given fill, and is never written.
// SIMD-3: sums and maxima over lanes are trees of halves: lane j with j+8, then j+4, j+2, j+1.
// SIMD-4: dfma(a, b, c) wants a and b widened from f32: then the product is exact and a fused or an unfused sum is the same.
// SIMD-5: nothing here reads or changes rounding mode, FTZ or DAZ.
//
// Everything lives in an anonymous namespace, since the same names mean other code in each instruction set's file. For the same
// reason files compiled with ISA flags must not emit shared template code (std::vector, std::sort, std::function): the linker
// keeps one copy of it, perhaps the one that an older CPU cannot run.
#ifndef TROUPE_SIMD_H
#define TROUPE_SIMD_H
#include <cmath>
#include <cstdint>
#include <cstring>

#include "../fma.h"
#if defined(TROUPE_ISA_AVX512) || defined(TROUPE_ISA_AVX2)
#include <immintrin.h>
#elif defined(TROUPE_ISA_NEON)
#include <arm_neon.h>
#elif !defined(TROUPE_ISA_PORTABLE)
#error "define TROUPE_ISA_AVX512, TROUPE_ISA_AVX2, TROUPE_ISA_NEON or TROUPE_ISA_PORTABLE"
#endif

#if defined(TROUPE_ISA_PORTABLE)
#define TROUPE_INLINE inline  // forced inlining of sixteen-lane loops makes this file take half a minute to compile
#else
#define TROUPE_INLINE __attribute__((always_inline)) inline
#endif

namespace troupe {
namespace {

constexpr int LANES = 16;
/// 2^50: int64 fixed point of gradients.
constexpr float FIXED_SCALE = 1125899906842624.0f;
/// Leaves on their way into sums: one that is NaN or has |x| >= limit (at most 64) is out of range and makes `bad` non-zero.
struct LeafCheck {
  float limit;
  int32_t bad;
};
/// From here on an f32 is a multiple of 2^-50; below it the last bit of x ± edge is worth 2^-50.
constexpr float FIXED_EDGE = 8388608.0f / FIXED_SCALE;

#if defined(TROUPE_ISA_AVX512)
#include "avx512.inc"
#elif defined(TROUPE_ISA_AVX2)
#include "avx2.inc"
#elif defined(TROUPE_ISA_NEON)
#include "neon.inc"
#else
#include "portable.inc"
#endif

/// *a·b + c. On AVX-512 the FMA itself reads the factor from memory: two instructions of a tile's row instead of three. Alone on its core
/// a tile is bound by its FMAs either way. With another program on the core's second thread only half as much is decoded, and then the
/// third instruction counts.
TROUPE_INLINE V vfma_at(const float* a, V b, V c) {
#if defined(TROUPE_ISA_AVX512)
  asm("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(c.r) : "m"(*a), "v"(b.r));
  return c;
#else
  return vfma(vset(*a), b, c);
#endif
}

/// out[j·out_stride + i] = from[i·stride + j] for an 8×8 tile.
#if defined(TROUPE_ISA_AVX512) || defined(TROUPE_ISA_AVX2)
TROUPE_INLINE void transpose8(const float* from, int64_t stride, float* out, int64_t out_stride) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(from + i * stride);
  for (int i = 0; i < 4; i++)
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]), t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  for (int i = 0; i < 2; i++) {
    r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44), r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
    r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44), r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
  }
  for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}
#else
TROUPE_INLINE void transpose8(const float* from, int64_t stride, float* out, int64_t out_stride) {
  for (int i = 0; i < 8; i++)
    for (int j = 0; j < 8; j++) out[j * out_stride + i] = from[i * stride + j];
}
#endif

/// Writes the lanes of a that are in m one after the other and returns how many they are. All LANES of `to` are written, the rest with
/// anything.
TROUPE_INLINE int vcompress(float* to, M m, V a) {
#if defined(TROUPE_ISA_AVX512)
  vstore(to, {_mm512_maskz_compress_ps(m, a.r)});
  return __builtin_popcount(m);
#else
  const unsigned bits = vbits(m);
  float lanes[LANES];
  vstore(lanes, a);
  int count = 0;
  for (int j = 0; j < LANES; j++) {
    to[count] = lanes[j];
    count += static_cast<int>(bits >> j & 1);
  }
  return count;
#endif
}
/// a, but with the next floats of `from` in the lanes of m, one after the other; moves `from` past them. LANES of `from` are read.
TROUPE_INLINE V vexpand(M m, const float*& from, V a) {
#if defined(TROUPE_ISA_AVX512)
  const __m512 next = vload(from).r;
  from += __builtin_popcount(m);
  return {_mm512_mask_expand_ps(a.r, m, next)};
#else
  float lanes[LANES];
  vstore(lanes, a);
  for (unsigned bits = vbits(m); bits != 0; bits &= bits - 1) lanes[__builtin_ctz(bits)] = *from++;
  return vload(lanes);
#endif
}

TROUPE_INLINE V vneg(V a) { return vxor_sign(a, vset(-0.0f)); }
/// |a| with the sign of b.
TROUPE_INLINE V vcopysign(V a, V b) { return vxor_sign(vabs(a), b); }
/// x rounded to a multiple of 2^-50, ties to even, never -0; what is out of range stays so.
TROUPE_INLINE V vround_any(V x) {
#if defined(TROUPE_ISA_AVX512)
  const V shift = vlarger(x, vset(FIXED_EDGE));  // from the edge on x itself: 2x - x
  return vsub(vadd(x, shift), shift);
#else
  const V edge = vset(FIXED_EDGE), shift = vcopysign(edge, x);
  return vselect(vlt(vabs(x), edge), vsub(vadd(x, shift), shift), x);
#endif
}
/// The same; 0 where x is out of range.
TROUPE_INLINE V vround_fixed(V x, LeafCheck& check) {
  const M ok = vlt(vabs(x), vset(check.limit));
  check.bad |= static_cast<int32_t>(vbits(ok) ^ 0xffffu);
  return vselect(ok, vround_any(x), vzero());
}
TROUPE_INLINE V vclamp(V x, float low, float high) { return vmin(vset(high), vmax(vset(low), x)); }  // NaN stays NaN

/// step(j, n) for 16 columns at a time: n = 16 but for the last.
template <class Step>
TROUPE_INLINE void each16(int64_t dim, const Step& step) {
  int64_t j = 0;
  for (; j + LANES <= dim; j += LANES) step(j, LANES);
  if (j < dim) step(j, static_cast<int>(dim - j));
}
TROUPE_INLINE V load_some(const float* p, int n) { return n == LANES ? vload(p) : vloadn(p, n); }
TROUPE_INLINE void store_some(float* p, V v, int n) { if (n == LANES) vstore(p, v); else vstoren(p, v, n); }

}  // namespace
}  // namespace troupe
#endif
