// exp, log, erf, tanh and the activations against long double, and the same bits on every instruction set that this CPU has.
// Instruction sets beyond the compiler's default need gcc (`#pragma GCC target`); clang checks the portable lanes alone.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "../exact.h"
#include "../fma.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

// The same headers once for each instruction set, each in its own namespace with one entry: apply(function number, x, y, 16).
#define TROUPE_MATH_FUNCTIONS(X)                                                                                                         \
  X(exp)                                                                                                                                 \
  X(log) X(erf) X(tanh) X(sigmoid) X(silu) X(silu_grad) X(normal_cdf) X(gelu) X(gelu_grad) X(gelu_tanh) X(gelu_tanh_grad) X(silu_beside) \
      X(gelu_beside) X(gelu_tanh_beside)
/// An activation's derivative, and the activation as it is computed beside that.
#define TROUPE_BOTH(name)                                                         \
  static troupe::V v##name##_grad(troupe::V x) {                                   \
    troupe::V gradient;                                                           \
    troupe::v##name##_both(x, gradient);                                           \
    return gradient;                                                              \
  }                                                                               \
  static troupe::V v##name##_beside(troupe::V x) {                                 \
    troupe::V gradient;                                                           \
    return troupe::v##name##_both(x, gradient);                                    \
  }
#define TROUPE_APPLY                                                              \
  TROUPE_BOTH(silu) TROUPE_BOTH(gelu) TROUPE_BOTH(gelu_tanh)                       \
  static void apply(int function, const float* x, float* y) {                     \
    using namespace troupe;                                                       \
    int i = 0;                                                                    \
    TROUPE_MATH_FUNCTIONS(TROUPE_APPLY_ONE)                                       \
  }                                                                               \
  /* sums += leaf of all lanes, then of the first n; y: their f32 values. */      \
  static int32_t add(const float* x, int n, float limit, int64_t* sums, float* y) { \
    using namespace troupe;                                                       \
    LeafCheck check = {limit, 0};                                                 \
    vadd_fixed(sums, vload(x), check);                                             \
    vadd_fixedn(sums, vload(x), check, n);                                         \
    vstore(y, vread_fixed(sums));                                                  \
    return check.bad != 0;                                                             \
  }                                                                               \
  /* y: the leaf rounded, but not added (KER-3). */                               \
  static int32_t rounded(const float* x, float limit, float* y) {                 \
    using namespace troupe;                                                       \
    LeafCheck check = {limit, 0};                                                 \
    vstore(y, vround_fixed(vload(x), check));                                      \
    return check.bad != 0;                                                              \
  }
#define TROUPE_APPLY_ONE(name) if (function == i++) vstore(y, v##name(vload(x)));

namespace on_portable {
namespace troupe { using ::troupe::fma_exact; }
#define TROUPE_ISA_PORTABLE 1
#include "../simd/math.h"
TROUPE_APPLY
}  // namespace on_portable
#undef TROUPE_ISA_PORTABLE
#undef TROUPE_SIMD_H
#undef TROUPE_MATH_H
#undef TROUPE_INLINE

#if defined(__x86_64__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace on_avx2 {
#define TROUPE_ISA_AVX2 1
#include "../simd/math.h"
TROUPE_APPLY
}  // namespace on_avx2
#undef TROUPE_ISA_AVX2
#undef TROUPE_SIMD_H
#undef TROUPE_MATH_H
#undef TROUPE_INLINE
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl")
namespace on_avx512 {
#define TROUPE_ISA_AVX512 1
#include "../simd/math.h"
TROUPE_APPLY
}  // namespace on_avx512
#pragma GCC pop_options
#elif defined(__aarch64__)
namespace on_neon {
#define TROUPE_ISA_NEON 1
#include "../simd/math.h"
TROUPE_APPLY
}  // namespace on_neon
#endif

namespace {

using Real = long double;
Real cdf(Real x) { return erfcl(-x / sqrtl(2)) / 2; }
Real sigmoid(Real x) { return 1 / (1 + expl(-x)); }
const Real pi = acosl(-1.0L);
Real tanh_argument(Real x) { return 2 * sqrtl(2 / pi) * (x + 0.044715L * x * x * x); }

/// Largest error allowed in the range, in units in the last place of the true value, or of `floor` where that is larger.
struct Case {
  int function;
  const char* name;
  float low, high;
  Real (*truth)(Real);
  double ulps, floor;
};
constexpr double relative = 0x1p-126, absolute = 0.5;  // floor: none, or the last place of 0.5
const Case cases[] = {
    {0, "exp", -87.3f, 88.7f, [](Real x) { return expl(x); }, 1.2, relative},
    {1, "log", 1e-3f, 3, [](Real x) { return logl(x); }, 1.2, relative},
    {1, "log", 1e-37f, 1e38f, [](Real x) { return logl(x); }, 1.2, relative},
    {2, "erf", -4, 4, [](Real x) { return erfl(x); }, 1.3, relative},
    {3, "tanh", -10, 10, [](Real x) { return tanhl(x); }, 1.6, relative},
    {4, "sigmoid", -80, 80, sigmoid, 2.8, relative},
    {5, "silu", -80, 80, [](Real x) { return x * sigmoid(x); }, 3.2, relative},
    {6, "silu'", -80, 80,
     [](Real x) {
       const Real s = sigmoid(x);
       return s * (1 + x * (1 - s));
     },
     3, absolute},
    {7, "normal cdf", -2, 14, cdf, 16, relative},
    {7, "normal cdf", -14, 14, cdf, 2, absolute},
    {8, "gelu", -14, 14, [](Real x) { return x * cdf(x); }, 2.5, absolute},
    {9, "gelu'", -14, 14, [](Real x) { return cdf(x) + x * expl(-x * x / 2) / sqrtl(2 * pi); }, 3, absolute},
    {10, "gelu-tanh", -10, 10, [](Real x) { return x * sigmoid(tanh_argument(x)); }, 3, absolute},
    {11, "gelu-tanh'", -10, 10,
     [](Real x) {
       const Real s = sigmoid(tanh_argument(x));
       return s * (1 + x * 2 * sqrtl(2 / pi) * (1 + 3 * 0.044715L * x * x) * (1 - s));
     },
     4, absolute},
};

int failures = 0;

/// The number of the function that computes the same beside its derivative; or its own.
int beside(int function) { return function == 5 ? 12 : function == 8 ? 13 : function == 10 ? 14 : function; }

void same_bits(const char* name, int function, const float* x, const float* y) {
  const auto check_one = [&](const char* isa, void (*apply)(int, const float*, float*), int number) {
    float other[16];
    apply(number, x, other);
    for (int j = 0; j < 16; j++) {
      if (std::isnan(y[j]) ? std::isnan(other[j]) : memcmp(other + j, y + j, 4) == 0) continue;
      if (++failures < 20)
        printf("FAIL %s(%a) is %a on %s, %a on portable\n", name, static_cast<double>(x[j]), static_cast<double>(other[j]), isa,
               static_cast<double>(y[j]));
    }
  };
  const auto check = [&](const char* isa, void (*apply)(int, const float*, float*)) {
    check_one(isa, apply, function);
    check_one(isa, apply, beside(function));
  };
  check("portable", on_portable::apply);
#if defined(__x86_64__) && !defined(__clang__)
  static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  static const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  if (avx2) check("avx2", on_avx2::apply);
  if (avx512) check("avx512", on_avx512::apply);
#elif defined(__aarch64__)
  check("neon", on_neon::apply);
#endif
}

/// One leaf of gradients added twice to sums, whole and in part, and the sums read again: the bits of exact.h (KER-3).
void same_leaf(const char* isa, int32_t (*add)(const float*, int, float, int64_t*, float*), const float* x, const int64_t* start, int n,
               float limit) {
  int64_t sums[16], wanted[16];
  float y[16], values[16];
  bool bad = false;
  for (int j = 0; j < 16; j++) {
    sums[j] = start[j];
    wanted[j] = start[j] + troupe::exact::from_gradient(x[j], bad, limit);
    if (j < n) wanted[j] += troupe::exact::from_gradient(x[j], bad, limit);
    values[j] = troupe::exact::to_float(wanted[j]);
  }
  const bool found = add(x, n, limit, sums, y) != 0;
  if (found == bad && memcmp(sums, wanted, sizeof sums) == 0 && memcmp(y, values, sizeof y) == 0) return;
  failures++;
  printf("FAIL leaf on %s, first lane %g, n %d\n", isa, static_cast<double>(x[0]), n);
}

/// The same leaf rounded on its own: what a sum of it alone would be read as.
void same_rounded(const char* isa, int32_t (*rounded)(const float*, float, float*), const float* x, float limit) {
  float y[16], wanted[16];
  bool bad = false;
  for (int j = 0; j < 16; j++) wanted[j] = troupe::exact::to_float(troupe::exact::from_gradient(x[j], bad, limit));
  const bool found = rounded(x, limit, y) != 0;
  if (found == bad && memcmp(y, wanted, sizeof y) == 0) return;
  failures++;
  printf("FAIL rounded leaf on %s, first lane %a\n", isa, static_cast<double>(x[0]));
}

/// Leaves of all sizes, on both sides of ±2 (where AVX2 takes another way), at ties, and out of range.
void leaves() {
  uint64_t state = 1;
  const auto next = [&state] { return state = state * 6364136223846793005u + 1442695040888963407u; };
  for (int round = 0; round < 20000; round++) {
    const int exponent = static_cast<int>(next() >> 33) % 64 - 56;  // 2^-56 … 2^7
    float x[16];
    int64_t start[16];
    for (int j = 0; j < 16; j++) {
      x[j] = std::ldexp(static_cast<float>(static_cast<int64_t>(next()) >> 40), exponent - 23);
      if (round % 16 == 0) x[j] = std::ldexp(static_cast<float>(static_cast<int>(next() >> 40) % 9 - 4), -51);
      start[j] = round % 3 == 0 ? 0 : static_cast<int64_t>(next()) >> (round % 48);
    }
    if (round % 64 == 1) x[round / 64 % 16] = round % 128 == 1 ? NAN : INFINITY;
    const int n = 1 + static_cast<int>(next() >> 40) % 15;
    const float limit = std::ldexp(64.0f, -static_cast<int>(round % 3 == 0 ? 0 : next() % 12));  // 64 … 2^-5
    same_leaf("portable", on_portable::add, x, start, n, limit), same_rounded("portable", on_portable::rounded, x, limit);
#if defined(__x86_64__) && !defined(__clang__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      same_leaf("avx2", on_avx2::add, x, start, n, limit), same_rounded("avx2", on_avx2::rounded, x, limit);
    if (__builtin_cpu_supports("avx512dq"))
      same_leaf("avx512", on_avx512::add, x, start, n, limit), same_rounded("avx512", on_avx512::rounded, x, limit);
#elif defined(__aarch64__)
    same_leaf("neon", on_neon::add, x, start, n, limit), same_rounded("neon", on_neon::rounded, x, limit);
#endif
  }
}

}  // namespace

int main() {
  for (const Case& c : cases) {
    double worst = 0, where = 0;
    constexpr int steps = 6000;
    for (int i = 0; i < steps; i++) {
      float x[16], y[16];
      for (int j = 0; j < 16; j++) {
        const double share = static_cast<double>(16 * i + j) / (16 * steps), low = static_cast<double>(c.low),
                     high = static_cast<double>(c.high);
        x[j] = static_cast<float>(low > 0 ? low * std::pow(high / low, share) : low + (high - low) * share);
      }
      on_portable::apply(c.function, x, y);
      same_bits(c.name, c.function, x, y);
      for (int j = 0; j < 16; j++) {
        const Real truth = c.truth(static_cast<Real>(x[j]));
        const double size = std::fmax(static_cast<double>(fabsl(truth)), c.floor),
                     error = std::fabs(static_cast<double>(static_cast<Real>(y[j]) - truth)) / std::ldexp(1.0, std::ilogb(size) - 23);
        if (!(error <= worst)) worst = error, where = static_cast<double>(x[j]);
      }
    }
    if (!(worst <= c.ulps)) failures++, printf("FAIL ");
    printf("%s on [%g, %g]: %.2f %s at %g\n", c.name, static_cast<double>(c.low), static_cast<double>(c.high), worst,
           c.floor == absolute ? "x 2^-24" : "ulp", where);
  }
  const float inf = INFINITY, special[16] = {0, -0.0f, inf, -inf, NAN, 1e-40f, -1e-40f, 1e30f, -1e30f, 1, -1, 89, -89, 300, -300, 104.5f};
  const float limits[12][4] = {{1, 1, inf, 0},         {-inf, -inf, inf, NAN}, {0, -0.0f, 1, -1},      {0, -0.0f, 1, -1},
                               {0.5f, 0.5f, 1, 0},     {0, -0.0f, inf, -0.0f}, {0.5f, 0.5f, 1, -0.0f}, {0.5f, 0.5f, 1, 0},
                               {0, -0.0f, inf, -0.0f}, {0.5f, 0.5f, 1, 0},     {0, -0.0f, inf, -0.0f}, {0.5f, 0.5f, 1, -0.0f}};
  for (int function = 0; function < 12; function++) {
    float y[16];
    on_portable::apply(function, special, y);
    same_bits("special", function, special, y);
    for (int j = 0; j < 5; j++) {
      const float wanted = j < 4 ? limits[function][j] : NAN;
      if (std::isnan(wanted) ? std::isnan(y[j]) : y[j] == wanted) continue;
      failures++, printf("FAIL function %d of %g is %g\n", function, static_cast<double>(special[j]), static_cast<double>(y[j]));
    }
  }
  leaves();
  printf("math: %d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
