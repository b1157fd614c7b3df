// arm64. Tested under qemu only (cross-arm64.mjs): no such machine was at hand.
#define TROUPE_ISA_NEON 1
#define TROUPE_NS neon
#include "isa.inc"
