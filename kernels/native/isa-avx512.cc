// x86-64 with AVX-512 F, BW, VL, DQ; compiled with those flags.
#define TROUPE_ISA_AVX512 1
#define TROUPE_NS avx512
#include "isa.inc"
