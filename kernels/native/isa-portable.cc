// Any CPU: no intrinsics, FMA emulated exactly (fma.h).
#define TROUPE_ISA_PORTABLE 1
#define TROUPE_NS portable
#include "isa.inc"
