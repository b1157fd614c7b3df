// bf16 beside the sixteen f32 lanes: rounding, widening, and pairs of them in 32-bit words, with the same bits on every instruction set.
//
// BF16-1: rounding is to the nearest, ties to even; a denormal f32 becomes a zero of its sign, NaN stays NaN: what vcvtneps2bf16 gives.
// BF16-2: a word holds element k in its low half and k+1 in its high half, as vdpbf16ps wants them.
// BF16-3: where products are FMAs on f32, panels hold the elements widened, those of a pair in the order in which they are added: k+1, k.
#ifndef TROUPE_BF16_H
#define TROUPE_BF16_H
#include "../bf16.h"
#include "simd.h"

namespace troupe {
namespace {

/// Two bf16 of consecutive k. A type of its own, so that panels of pairs and of floats are told apart by the compiler.
enum class Pair : uint32_t {};
/// One bf16, widened.
struct Widened { float value; };

/// What panels of bf16 hold on this instruction set.
#if (defined(TROUPE_ISA_AVX512) || defined(TROUPE_ISA_AVX2)) && !defined(TROUPE_BF16_UNITS)
using Half = Widened;
#else
using Half = Pair;
#endif

#if defined(TROUPE_ISA_AVX512)
#if defined(TROUPE_BF16_UNITS)
TROUPE_INLINE __m256i round_half(__m512 x) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)); }
/// 32 consecutive elements: words 0 … 15.
TROUPE_INLINE V vrow_bf16(V first, V second) {
  return {_mm512_castsi512_ps(reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.r, first.r)))};
}
#else
/// bf16 in the low half of each lane, zeros above.
TROUPE_INLINE __m512i round_bits(__m512 x) {
  const __m512i bits = _mm512_castps_si512(x), top = _mm512_srli_epi32(bits, 16);
  const __m512i bias = _mm512_add_epi32(_mm512_set1_epi32(0x7fff), _mm512_and_si512(top, _mm512_set1_epi32(1)));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, bias), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), denormal = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
  return _mm512_mask_and_epi32(_mm512_mask_or_epi32(rounded, nan, top, _mm512_set1_epi32(0x40)), denormal, top, _mm512_set1_epi32(0x8000));
}
TROUPE_INLINE __m256i round_half(__m512 x) { return _mm512_cvtepi32_epi16(round_bits(x)); }
TROUPE_INLINE V vrow_bf16(V first, V second) {
  return {_mm512_castsi512_ps(_mm512_inserti64x4(_mm512_castsi256_si512(round_half(first.r)), round_half(second.r), 1))};
}
#endif
TROUPE_INLINE V widen_half(__m256i halves) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))}; }
/// Lane j: the pair of low_j and high_j.
TROUPE_INLINE V vpair_bf16(V low, V high) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3,
                                         18, 2, 17, 1, 16, 0);
  return {_mm512_castsi512_ps(_mm512_permutexvar_epi16(order, _mm512_castps_si512(vrow_bf16(low, high).r)))};
}
TROUPE_INLINE V vround_bf16(V x) { return widen_half(round_half(x.r)); }
TROUPE_INLINE V vload_bf16(const uint16_t* p) { return widen_half(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
TROUPE_INLINE V vload_bf16n(const uint16_t* p, int n) { return widen_half(_mm256_maskz_loadu_epi16(tail_mask(n), p)); }
TROUPE_INLINE void vstore_bf16(uint16_t* p, V x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), round_half(x.r)); }
TROUPE_INLINE void vstore_bf16n(uint16_t* p, V x, int n) { _mm256_mask_storeu_epi16(p, tail_mask(n), round_half(x.r)); }
#elif defined(TROUPE_ISA_AVX2)
/// bf16 in the low half of each lane, zeros above.
TROUPE_INLINE __m256i round_bits(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x), top = _mm256_srli_epi32(bits, 16);
  const __m256i bias = _mm256_add_epi32(_mm256_set1_epi32(0x7fff), _mm256_and_si256(top, _mm256_set1_epi32(1)));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, bias), 16);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i denormal = _mm256_cmpeq_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x7f800000)), _mm256_setzero_si256());
  const __m256i kept = _mm256_blendv_epi8(rounded, _mm256_or_si256(top, _mm256_set1_epi32(0x40)), nan);
  return _mm256_blendv_epi8(kept, _mm256_and_si256(top, _mm256_set1_epi32(0x8000)), denormal);
}
/// 16 consecutive elements: eight words.
TROUPE_INLINE __m256i row_bits(__m256 first, __m256 second) {
  return _mm256_permute4x64_epi64(_mm256_packus_epi32(round_bits(first), round_bits(second)), 0xd8);
}
TROUPE_INLINE V vrow_bf16(V first, V second) {
  return {_mm256_castsi256_ps(row_bits(first.a, first.b)), _mm256_castsi256_ps(row_bits(second.a, second.b))};
}
TROUPE_INLINE V vpair_bf16(V low, V high) {
  return {_mm256_castsi256_ps(_mm256_or_si256(round_bits(low.a), _mm256_slli_epi32(round_bits(high.a), 16))),
          _mm256_castsi256_ps(_mm256_or_si256(round_bits(low.b), _mm256_slli_epi32(round_bits(high.b), 16)))};
}
TROUPE_INLINE V vround_bf16(V x) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(round_bits(x.a), 16)), _mm256_castsi256_ps(_mm256_slli_epi32(round_bits(x.b), 16))};
}
TROUPE_INLINE V vload_bf16(const uint16_t* p) {
  const __m128i* q = reinterpret_cast<const __m128i*>(p);
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(q)), 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(q + 1)), 16))};
}
TROUPE_INLINE V vload_bf16n(const uint16_t* p, int n) {
  uint16_t t[LANES] = {};
  memcpy(t, p, sizeof(uint16_t) * static_cast<size_t>(n));
  return vload_bf16(t);
}
TROUPE_INLINE void vstore_bf16(uint16_t* p, V x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), row_bits(x.a, x.b)); }
TROUPE_INLINE void vstore_bf16n(uint16_t* p, V x, int n) {
  uint16_t t[LANES];
  vstore_bf16(t, x);
  memcpy(p, t, sizeof(uint16_t) * static_cast<size_t>(n));
}
#else
TROUPE_INLINE void store_word(float* to, uint32_t word) { memcpy(to, &word, 4); }
TROUPE_INLINE V vrow_bf16(V first, V second) {
  float x[2 * LANES], words[LANES];
  vstore(x, first), vstore(x + LANES, second);
  for (int j = 0; j < LANES; j++) store_word(words + j, bf16_bits(x[2 * j]) | bf16_bits(x[2 * j + 1]) << 16);
  return vload(words);
}
TROUPE_INLINE V vpair_bf16(V low, V high) {
  float x[LANES], y[LANES], words[LANES];
  vstore(x, low), vstore(y, high);
  for (int j = 0; j < LANES; j++) store_word(words + j, bf16_bits(x[j]) | bf16_bits(y[j]) << 16);
  return vload(words);
}
TROUPE_INLINE V vround_bf16(V v) {
  float x[LANES];
  vstore(x, v);
  for (int j = 0; j < LANES; j++) x[j] = bf16_value(bf16_bits(x[j]));
  return vload(x);
}
TROUPE_INLINE V vload_bf16n(const uint16_t* p, int n) {
  float x[LANES];
  for (int j = 0; j < LANES; j++) x[j] = j < n ? bf16_value(p[j]) : 0.0f;
  return vload(x);
}
TROUPE_INLINE V vload_bf16(const uint16_t* p) { return vload_bf16n(p, LANES); }
TROUPE_INLINE void vstore_bf16n(uint16_t* p, V v, int n) {
  float x[LANES];
  vstore(x, v);
  for (int j = 0; j < n; j++) p[j] = static_cast<uint16_t>(bf16_bits(x[j]));
}
TROUPE_INLINE void vstore_bf16(uint16_t* p, V v) { vstore_bf16n(p, v, LANES); }
#endif
TROUPE_INLINE V load_some(const uint16_t* p, int n) { return n == LANES ? vload_bf16(p) : vload_bf16n(p, n); }
TROUPE_INLINE void store_some(uint16_t* p, V x, int n) { if (n == LANES) vstore_bf16(p, x); else vstore_bf16n(p, x, n); }

}  // namespace
}  // namespace troupe
#endif
