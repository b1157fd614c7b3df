// The remainder of the message, as a polynomial over GF(2), after division by the CRC's. Bits are reflected: the first bit of a byte is
// its lowest. A block of 128 bits is moved over the next D bits ("folded") by two products without carries:
//
//   x · t^D  =  low(x) · (t^(D+64) mod P)  +  high(x) · (t^D mod P)
//
// so blocks are folded over each other, many in flight at a time, until 128 bits are left, which a Barrett division reduces to 32.
//
// CRC-1: every path gives zlib's number, whatever the length and the alignment (test/integration/frame-sum.test.ts).
//
// See Gopal et al. 2009, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel 323102).
#include "crc32.h"

#include <array>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace troupe {
namespace {

/// Bit by bit for each byte: what is left of a message that is no whole number of blocks.
constexpr std::array<uint32_t, 256> remainders() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; bit++) rest = (rest >> 1) ^ ((rest & 1) != 0 ? 0xEDB88320u : 0u);
    table[byte] = rest;
  }
  return table;
}
constexpr std::array<uint32_t, 256> REMAINDERS = remainders();

uint32_t by_bytes(uint32_t state, const uint8_t* bytes, size_t length) {
  for (size_t i = 0; i < length; i++) state = REMAINDERS[(state ^ bytes[i]) & 0xFF] ^ (state >> 8);
  return state;
}

#if defined(__x86_64__)
#define TROUPE_CLMUL __attribute__((target("pclmul,sse4.1")))
#define TROUPE_WIDE_CLMUL __attribute__((target("avx512f,avx512vl,vpclmulqdq,pclmul,sse4.1")))

/// t^(D+64) and t^D mod P, reflected, for D = 2048, 512 and 128 bits.
constexpr long long OVER_2048_LOW = 0x011542778A, OVER_2048_HIGH = 0x01322D1430;
constexpr long long OVER_512_LOW = 0x0154442BD4, OVER_512_HIGH = 0x01C6E41596;
constexpr long long OVER_128_LOW = 0x01751997D0, OVER_128_HIGH = 0x00CCAA009E;
/// t^64 mod P; P itself and the quotient of t^64 by it.
constexpr long long OVER_64 = 0x0163CD6124, POLYNOMIAL = 0x01DB710641, QUOTIENT = 0x01F7011641;

TROUPE_CLMUL inline __m128i block_at(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }
TROUPE_CLMUL inline __m128i folded(__m128i x, __m128i over, __m128i next) {
  return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, over, 0x00), _mm_clmulepi64_si128(x, over, 0x11)), next);
}

/// From a last block to the state of the CRC.
TROUPE_CLMUL uint32_t reduced(__m128i x) {
  const __m128i over_128 = _mm_set_epi64x(OVER_128_HIGH, OVER_128_LOW);
  const __m128i low_words = _mm_setr_epi32(~0, 0, ~0, 0);
  x = _mm_xor_si128(_mm_srli_si128(x, 8), _mm_clmulepi64_si128(x, over_128, 0x10));
  x = _mm_xor_si128(_mm_srli_si128(x, 4), _mm_clmulepi64_si128(_mm_and_si128(x, low_words), _mm_set_epi64x(0, OVER_64), 0x00));
  const __m128i division = _mm_set_epi64x(QUOTIENT, POLYNOMIAL);
  __m128i estimate = _mm_clmulepi64_si128(_mm_and_si128(x, low_words), division, 0x10);
  estimate = _mm_clmulepi64_si128(_mm_and_si128(estimate, low_words), division, 0x00);
  return static_cast<uint32_t>(_mm_extract_epi32(_mm_xor_si128(x, estimate), 1));
}

/// `x` over the whole blocks that are left, then the bytes behind them.
TROUPE_CLMUL uint32_t finished(__m128i x, const uint8_t* bytes, size_t length) {
  const __m128i over_128 = _mm_set_epi64x(OVER_128_HIGH, OVER_128_LOW);
  for (; length >= 16; bytes += 16, length -= 16) x = folded(x, over_128, block_at(bytes));
  return by_bytes(reduced(x), bytes, length);
}

/// Four blocks in flight; from 64 bytes on.
TROUPE_CLMUL uint32_t by_blocks(uint32_t state, const uint8_t* bytes, size_t length) {
  const __m128i over_512 = _mm_set_epi64x(OVER_512_HIGH, OVER_512_LOW);
  __m128i x0 = _mm_xor_si128(block_at(bytes), _mm_cvtsi32_si128(static_cast<int>(state)));
  __m128i x1 = block_at(bytes + 16), x2 = block_at(bytes + 32), x3 = block_at(bytes + 48);
  for (bytes += 64, length -= 64; length >= 64; bytes += 64, length -= 64) {
    x0 = folded(x0, over_512, block_at(bytes));
    x1 = folded(x1, over_512, block_at(bytes + 16));
    x2 = folded(x2, over_512, block_at(bytes + 32));
    x3 = folded(x3, over_512, block_at(bytes + 48));
  }
  const __m128i over_128 = _mm_set_epi64x(OVER_128_HIGH, OVER_128_LOW);
  return finished(folded(folded(folded(x0, over_128, x1), over_128, x2), over_128, x3), bytes, length);
}

TROUPE_WIDE_CLMUL inline __m512i blocks_at(const uint8_t* at) { return _mm512_loadu_si512(at); }
TROUPE_WIDE_CLMUL inline __m512i folded(__m512i x, __m512i over, __m512i next) {
  constexpr int XOR_OF_THREE = 0x96;
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(x, over, 0x00), _mm512_clmulepi64_epi128(x, over, 0x11), next, XOR_OF_THREE);
}

/// Sixteen blocks in flight, four a register; from 256 bytes on.
TROUPE_WIDE_CLMUL uint32_t by_wide_blocks(uint32_t state, const uint8_t* bytes, size_t length) {
  const __m512i over_2048 = _mm512_broadcast_i32x4(_mm_set_epi64x(OVER_2048_HIGH, OVER_2048_LOW));
  __m512i x0 = _mm512_xor_si512(blocks_at(bytes), _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(state))));
  __m512i x1 = blocks_at(bytes + 64), x2 = blocks_at(bytes + 128), x3 = blocks_at(bytes + 192);
  for (bytes += 256, length -= 256; length >= 256; bytes += 256, length -= 256) {
    x0 = folded(x0, over_2048, blocks_at(bytes));
    x1 = folded(x1, over_2048, blocks_at(bytes + 64));
    x2 = folded(x2, over_2048, blocks_at(bytes + 128));
    x3 = folded(x3, over_2048, blocks_at(bytes + 192));
  }
  const __m512i over_512 = _mm512_broadcast_i32x4(_mm_set_epi64x(OVER_512_HIGH, OVER_512_LOW));
  x0 = folded(folded(folded(x0, over_512, x1), over_512, x2), over_512, x3);
  for (; length >= 64; bytes += 64, length -= 64) x0 = folded(x0, over_512, blocks_at(bytes));
  const __m128i over_128 = _mm_set_epi64x(OVER_128_HIGH, OVER_128_LOW);
  __m128i x = folded(_mm512_extracti32x4_epi32(x0, 0), over_128, _mm512_extracti32x4_epi32(x0, 1));
  x = folded(x, over_128, _mm512_extracti32x4_epi32(x0, 2));
  return finished(folded(x, over_128, _mm512_extracti32x4_epi32(x0, 3)), bytes, length);
}

bool multiplies_wide() {
  static const bool does = (__builtin_cpu_init(), __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                                                      __builtin_cpu_supports("vpclmulqdq"));
  return does;
}
#endif

}  // namespace

#if defined(__x86_64__)
bool has_crc32() {
  static const bool has = (__builtin_cpu_init(), __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"));
  return has;
}

uint32_t crc32(const uint8_t* bytes, size_t length) {
  constexpr uint32_t START = 0xFFFFFFFF;
  if (length >= 256 && multiplies_wide()) return ~by_wide_blocks(START, bytes, length);
  if (length >= 64) return ~by_blocks(START, bytes, length);
  return ~by_bytes(START, bytes, length);
}
#else
bool has_crc32() { return false; }
uint32_t crc32(const uint8_t* bytes, size_t length) { return ~by_bytes(0xFFFFFFFF, bytes, length); }
#endif

}  // namespace troupe
