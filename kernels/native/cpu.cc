#include "cpu.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace troupe {
namespace {

struct Candidate {
  const char* name;
  bool (*runs_here)();
  const Kernels& (*get)();
};

#if defined(__x86_64__)
bool has_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
}
bool has_avx512bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#endif
bool always() { return true; }

/// Best first.
const Candidate candidates[] = {
#if defined(__x86_64__)
    {"avx512bf16", has_avx512bf16, kernels_avx512bf16},
    {"avx512", has_avx512, kernels_avx512},
    {"avx2", has_avx2, kernels_avx2},
#elif defined(__aarch64__)
    {"neon", always, kernels_neon},
#endif
    {"portable", always, kernels_portable},
};

/// Floating-point operations per second of a loop on registers; the best of three, since a core may be taken away.
double rate_of(double (*loop)(int64_t)) {
  loop(2'000);  // lets the core power up its wide units
  double best = 0;
  for (int i = 0; i < 3; i++) {
    const auto start = std::chrono::steady_clock::now();
    const double operations = loop(10'000);
    best = std::max(best, operations / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// Whether the bf16 units are slower than the two FMAs that give the same result, as on Sapphire Rapids (half the rate; on Zen 4 twice).
bool has_slow_units(const Kernels& kernels) { return kernels.pair_loop && rate_of(kernels.pair_loop) < rate_of(kernels.fma_loop); }

const Kernels* best_kernels() {
  for (const Candidate& candidate : candidates) {
    if (candidate.runs_here() && !has_slow_units(candidate.get())) return &candidate.get();
  }
  return nullptr;
}

}  // namespace

const Kernels* kernels_named(const char* isa) {
  if (std::strcmp(isa, "auto") == 0) {
    static const Kernels* best = best_kernels();  // 0.3 ms, once
    return best;
  }
  for (const Candidate& candidate : candidates) {
    if (std::strcmp(isa, candidate.name) == 0 && candidate.runs_here()) return &candidate.get();
  }
  return nullptr;
}

}  // namespace troupe
