// CRC-32 (that of zlib, Ethernet and PNG), for checksums of what travels.
#pragma once
#include <cstddef>
#include <cstdint>

namespace troupe {

/// Whether this CPU multiplies without carries, so that `crc32` is fast.
bool has_crc32();

/// The CRC of `bytes`; only where `has_crc32`.
uint32_t crc32(const uint8_t* bytes, size_t length);

}  // namespace troupe
