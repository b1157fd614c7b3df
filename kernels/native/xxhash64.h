// xxHash64 (Yann Collet), for checksums of what travels: the numbers of any other implementation.
#pragma once
#include <cstddef>
#include <cstdint>

namespace troupe {

/// The hash of `bytes` from `seed`.
uint64_t xxhash64(const uint8_t* bytes, size_t length, uint64_t seed);

}  // namespace troupe
