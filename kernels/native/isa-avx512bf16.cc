// x86-64 with AVX-512 F, BW, VL, DQ and BF16; compiled with those flags. Products in bf16 only: the rest is that of isa-avx512.cc.
#define TROUPE_ISA_AVX512 1
#define TROUPE_BF16_UNITS 1
#define TROUPE_NS avx512bf16
#include "isa-begin.inc"

#include "gemm/products.inc"
#include "gemm/peak-bf16.inc"

namespace troupe {
const Kernels& kernels_avx512bf16() {
  using namespace avx512bf16;
  static const Kernels table = [] {
    Kernels k = kernels_avx512();
    k.isa = "avx512bf16";
#define X(name, Args) k.bf16.name = run_##name<Half>;
    TROUPE_PRODUCT_OPS(X)
#undef X
    k.pair_loop = pair_loop;
    return k;
  }();
  return table;
}
}  // namespace troupe
