#include "cpu.h"

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

}  // namespace

const Kernels* kernels_named(const char* isa) {
  const bool any = std::strcmp(isa, "auto") == 0;
  for (const Candidate& candidate : candidates) {
    if ((any || std::strcmp(isa, candidate.name) == 0) && candidate.runs_here()) return &candidate.get();
  }
  return nullptr;
}

}  // namespace troupe
