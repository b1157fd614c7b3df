// exp, log, erf, tanh and the activations on sixteen lanes, from fused multiply-adds and true division only.
//
// MATH-1: a function of a lane is a function of that lane's value alone, the same bits on every instruction set.
// MATH-2: no libm, no approximate reciprocal. Errors measured over the useful range are in ops-rows/README.md.
// MATH-3: a NaN gives NaN; ±infinity gives the limit.
#ifndef TROUPE_MATH_H
#define TROUPE_MATH_H
#include "simd.h"

namespace troupe {
namespace {

/// 0x1.8p23: adding it leaves a float's nearest integer in the low bits.
constexpr float ROUND_SHIFT = 12582912.0f;
/// Below this exp gives +0, so that no denormal ever comes out (its last normal result is 2^-126).
constexpr float EXP_LOW = -87.33654f;
constexpr float EXP_HIGH = 88.722836f;

/// exp for x <= EXP_HIGH (not checked): below EXP_LOW +0. Reduced by n·ln 2 in two parts, then degree 7 (Cephes' coefficients).
TROUPE_INLINE V vexp_low(V x) {
  const V low = vset(EXP_LOW);
  const V clamped = vmax(low, x);
  const V n = vsub(vfma(clamped, vset(1.44269504f), vset(ROUND_SHIFT)), vset(ROUND_SHIFT));
  V r = vfnma(n, vset(0.693359375f), clamped);
  r = vfma(n, vset(2.12194440e-4f), r);
  V p = vset(1.9875691500e-4f);
  p = vfma(p, r, vset(1.3981999507e-3f));
  p = vfma(p, r, vset(8.3334519073e-3f));
  p = vfma(p, r, vset(4.1665795894e-2f));
  p = vfma(p, r, vset(1.6666665459e-1f));
  p = vfma(p, r, vset(5.0000001201e-1f));
  p = vadd(vfma(p, vmul(r, r), r), vset(1.0f));
  return vselect(vlt(x, low), vzero(), vscale2(p, n));
}

TROUPE_INLINE V vexp(V x) {
  const V high = vset(EXP_HIGH);
  return vselect(vlt(high, x), vset(INFINITY), vexp_low(vmin(high, x)));
}

/// Natural logarithm of m·2^e for m in [sqrt(1/2), sqrt(2)).
TROUPE_INLINE V vlog_of(V mantissa, V e) {
  const V m = vsub(mantissa, vset(1.0f));
  V p = vset(7.0376836292e-2f);
  p = vfma(p, m, vset(-1.1514610310e-1f));
  p = vfma(p, m, vset(1.1676998740e-1f));
  p = vfma(p, m, vset(-1.2420140846e-1f));
  p = vfma(p, m, vset(1.4249322787e-1f));
  p = vfma(p, m, vset(-1.6668057665e-1f));
  p = vfma(p, m, vset(2.0000714765e-1f));
  p = vfma(p, m, vset(-2.4999993993e-1f));
  p = vfma(p, m, vset(3.3333331174e-1f));
  const V square = vmul(m, m);
  V y = vmul(p, vmul(m, square));
  y = vfma(e, vset(-2.12194440e-4f), y);
  y = vfma(square, vset(-0.5f), y);
  return vfma(e, vset(0.693359375f), vadd(m, y));
}
/// Natural logarithm of a positive normal number.
TROUPE_INLINE V vlog_normal(V x) {
  V e;
  const V m = vsplit(x, e);
  return vlog_of(m, e);
}
/// Natural logarithm; log(0) = -inf, log(negative) = NaN, denormals included.
TROUPE_INLINE V vlog(V x) {
  const M tiny = vlt(x, vset(1.17549435e-38f));
  V e;
  const V m = vsplit(vselect(tiny, vmul(x, vset(8388608.0f)), x), e);
  V y = vlog_of(m, vselect(tiny, vsub(e, vset(23.0f)), e));
  y = vselect(vlt(x, vset(INFINITY)), y, x);               // +inf and NaN give themselves
  y = vselect(veq(x, vzero()), vset(-INFINITY), y);
  return vselect(vlt(x, vzero()), vset(NAN), y);
}

/// erf by two polynomials that meet at |x| = 0.92773…; `complement` receives 1 - erf|x| where |x| is above it. After N. Juffa.
TROUPE_INLINE V erf_parts(V x, M& large, V& complement) {
  const V t = vmin(vset(12.0f), vabs(x)), s = vmul(t, t);
  large = vlt(vset(0.927734375f), t);
  V r = vfma(vset(-1.72853470e-5f), t, vset(3.83197126e-4f));
  const V u = vfma(vset(-3.88396438e-3f), t, vset(2.42546219e-2f));
  r = vfma(r, s, u);
  r = vfma(r, t, vset(-1.06777877e-1f));
  r = vfma(r, t, vset(-6.34846687e-1f));
  r = vfma(r, t, vset(-1.28717512e-1f));
  complement = vexp_low(vfma(r, t, vneg(t)));
  V q = vset(-5.96761703e-4f);
  q = vfma(q, s, vset(4.99119423e-3f));
  q = vfma(q, s, vset(-2.67681349e-2f));
  q = vfma(q, s, vset(1.12819925e-1f));
  q = vfma(q, s, vset(-3.76125336e-1f));
  q = vfma(q, s, vset(1.28379166e-1f));
  return vfma(q, t, t);
}

TROUPE_INLINE V verf(V x) {
  M large;
  V complement;
  const V small = erf_parts(x, large, complement);
  return vcopysign(vselect(large, vsub(vset(1.0f), complement), small), x);
}

TROUPE_INLINE V vtanh(V x) {
  const V t = vabs(x), s = vmul(x, x);
  const V e = vexp(vadd(t, t));
  const V large = vsub(vset(1.0f), vdiv(vset(2.0f), vadd(e, vset(1.0f))));
  V p = vset(-5.70498872745e-3f);
  p = vfma(p, s, vset(2.06390887954e-2f));
  p = vfma(p, s, vset(-5.37397155531e-2f));
  p = vfma(p, s, vset(1.33314422036e-1f));
  p = vfma(p, s, vset(-3.33332819422e-1f));
  const V small = vfma(vmul(p, s), t, t);
  return vcopysign(vselect(vlt(t, vset(0.625f)), small, large), x);
}

/// 1 / (1 + exp(-x)).
TROUPE_INLINE V vsigmoid(V x) { return vdiv(vset(1.0f), vadd(vset(1.0f), vexp(vneg(x)))); }

/// x·sigmoid(x).
TROUPE_INLINE V vsilu(V x) {
  const V t = vmax(vset(-104.0f), x);
  return vmul(t, vsigmoid(t));
}
/// sigmoid(x), and 1 - sigmoid(x) without cancellation.
TROUPE_INLINE V sigmoid_parts(V x, V& rest) {
  const V e = vexp(vneg(x)), s = vdiv(vset(1.0f), vadd(vset(1.0f), e));
  rest = vselect(vlt(x, vzero()), vsub(vset(1.0f), s), vmul(e, s));
  return s;
}
/// silu and its derivative s·(1 + x·(1 - s)) from one exponential.
TROUPE_INLINE V vsilu_both(V x, V& gradient) {
  const V t = vclamp(x, -104.0f, 104.0f);
  V rest;
  const V s = sigmoid_parts(t, rest);
  gradient = vmul(s, vfma(t, rest, vset(1.0f)));
  return vmul(vmax(vset(-104.0f), x), s);
}

/// Normal cumulative distribution; keeps relative precision in the lower tail to about -5.
TROUPE_INLINE V vnormal_cdf(V x) {
  M large;
  V complement;
  const V small = erf_parts(vmul(x, vset(0.70710678f)), large, complement);
  const V half = vset(0.5f);
  const V upper = vselect(large, vfnma(half, complement, vset(1.0f)), vfma(half, small, half));
  const V lower = vselect(large, vmul(half, complement), vfnma(half, small, half));
  return vselect(vlt(x, vzero()), lower, upper);
}
/// x·Φ(x).
TROUPE_INLINE V vgelu(V x) {
  const V t = vmax(vset(-14.5f), x);
  return vmul(t, vnormal_cdf(t));
}
/// The same, and its derivative Φ(x) + x·φ(x), from one Φ: beyond 14.5 it is 1 either way.
TROUPE_INLINE V vgelu_both(V x, V& gradient) {
  const V t = vclamp(x, -14.5f, 14.5f), cdf = vnormal_cdf(t);
  const V density = vmul(vset(0.39894228f), vexp_low(vmul(vmul(t, t), vset(-0.5f))));
  gradient = vfma(t, density, cdf);
  return vmul(vmax(vset(-14.5f), x), cdf);
}

/// The tanh form: x·sigmoid(2u) = x·(1 + tanh u)/2 with u = sqrt(2/π)·(x + 0.044715·x³).
TROUPE_INLINE V vgelu_tanh(V x) {
  const V t = vmax(vset(-12.0f), x);
  const V u2 = vmul(t, vfma(vmul(t, t), vset(0.0713548163f), vset(1.59576912f)));
  return vmul(t, vsigmoid(u2));
}
/// The same, and its derivative, from one exponential: beyond 12 the sigmoid is 1 either way.
TROUPE_INLINE V vgelu_tanh_both(V x, V& gradient) {
  const V t = vclamp(x, -12.0f, 12.0f), square = vmul(t, t);
  V rest;
  const V s = sigmoid_parts(vmul(t, vfma(square, vset(0.0713548163f), vset(1.59576912f))), rest);
  const V slope = vfma(square, vset(0.214064449f), vset(1.59576912f));
  gradient = vmul(s, vfma(vmul(t, slope), rest, vset(1.0f)));
  return vmul(vmax(vset(-12.0f), x), s);
}

}  // namespace
}  // namespace troupe
#endif
