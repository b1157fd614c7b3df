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
#pragma once
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

#define TROUPE_INLINE __attribute__((always_inline)) inline

namespace troupe {
namespace {

constexpr int LANES = 16;
/** 2^50: int64 fixed point of gradients; a leaf with |x| >= 64 or NaN is out of range. */
constexpr float FIXED_SCALE = 1125899906842624.0f;
constexpr float FIXED_LIMIT = 64.0f;

#if defined(TROUPE_ISA_AVX512)
#include "avx512.inc"
#elif defined(TROUPE_ISA_AVX2)
#include "avx2.inc"
#elif defined(TROUPE_ISA_NEON)
#include "neon.inc"
#else
#include "portable.inc"
#endif

TROUPE_INLINE V vneg(V a) { return vxorSign(a, vset(-0.0f)); }
/** |a| with the sign of b. */
TROUPE_INLINE V vcopysign(V a, V b) { return vxorSign(vabs(a), b); }
TROUPE_INLINE V vclamp(V x, float low, float high) { return vmin(vset(high), vmax(vset(low), x)); }  // NaN stays NaN

}  // namespace
}  // namespace troupe
