// Four lanes of eight bytes, each multiplied, turned and multiplied; then the lanes are merged and the rest is mixed in.
//
//   bytes   | lane 1 | lane 2 | lane 3 | lane 4 | lane 1 | …          stripes of 32
//   end     merge of the lanes + length, then words of 8, one of 4, and bytes; last an avalanche
#include "xxhash64.h"

#include <cstring>

namespace troupe {
namespace {

constexpr uint64_t PRIME_1 = 0x9E3779B185EBCA87, PRIME_2 = 0xC2B2AE3D27D4EB4F, PRIME_3 = 0x165667B19E3779F9,
                   PRIME_4 = 0x85EBCA77C2B2AE63, PRIME_5 = 0x27D4EB2F165667C5;
constexpr size_t STRIPE = 32;

uint64_t turn(uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }
/// Little-endian, as every CPU here is.
uint64_t word_at(const uint8_t* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
uint64_t half_at(const uint8_t* at) {
  uint32_t half;
  std::memcpy(&half, at, sizeof half);
  return half;
}
uint64_t mixed(uint64_t lane, uint64_t word) { return turn(lane + word * PRIME_2, 31) * PRIME_1; }
uint64_t merged(uint64_t hash, uint64_t lane) { return (hash ^ mixed(0, lane)) * PRIME_1 + PRIME_4; }

}  // namespace

uint64_t xxhash64(const uint8_t* bytes, size_t length, uint64_t seed) {
  const uint8_t* at = bytes;
  const uint8_t* const end = bytes + length;
  uint64_t hash = seed + PRIME_5;
  if (length >= STRIPE) {
    uint64_t lane_1 = seed + PRIME_1 + PRIME_2, lane_2 = seed + PRIME_2, lane_3 = seed, lane_4 = seed - PRIME_1;
    for (; static_cast<size_t>(end - at) >= STRIPE; at += STRIPE) {
      lane_1 = mixed(lane_1, word_at(at));
      lane_2 = mixed(lane_2, word_at(at + 8));
      lane_3 = mixed(lane_3, word_at(at + 16));
      lane_4 = mixed(lane_4, word_at(at + 24));
    }
    hash = turn(lane_1, 1) + turn(lane_2, 7) + turn(lane_3, 12) + turn(lane_4, 18);
    hash = merged(merged(merged(merged(hash, lane_1), lane_2), lane_3), lane_4);
  }
  hash += length;
  for (; end - at >= 8; at += 8) hash = turn(hash ^ mixed(0, word_at(at)), 27) * PRIME_1 + PRIME_4;
  if (end - at >= 4) {
    hash = turn(hash ^ (half_at(at) * PRIME_1), 23) * PRIME_2 + PRIME_3;
    at += 4;
  }
  for (; at < end; at++) hash = turn(hash ^ (*at * PRIME_5), 11) * PRIME_1;
  hash = (hash ^ (hash >> 33)) * PRIME_2;
  hash = (hash ^ (hash >> 29)) * PRIME_3;
  return hash ^ (hash >> 32);
}

}  // namespace troupe
