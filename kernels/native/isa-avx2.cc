// x86-64 with AVX2 and FMA; compiled with -mavx2 -mfma.
#define TROUPE_ISA_AVX2 1
#define TROUPE_NS avx2
#include "isa.inc"
