// arm64. Untested: no such machine was at hand.
#define TROUPE_ISA_NEON 1
#define TROUPE_NS neon
#include "isa.inc"
