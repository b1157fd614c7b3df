// Which instruction sets this build has and this CPU runs.
#pragma once
#include "ops.h"

namespace troupe {

/// The table named `avx512bf16`, `avx512`, `avx2`, `portable` or `neon`, or `auto` for the fastest; null when absent here.
const Kernels* kernels_named(const char* isa);

}  // namespace troupe
