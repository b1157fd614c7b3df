// T5's buckets of distances, in integers of any length: `bucketStarts` of ground/kernel-set/src/relative-buckets.ts, which says what they
// are.
#pragma once
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

namespace troupe {

constexpr int64_t MOST_BUCKETS = 256, MOST_DISTANCE = int64_t{1} << 20;

/// A product of small numbers, words from the lowest on.
class LongProduct {
 public:
  void times(uint64_t factor) {
    uint64_t carry = 0;
    for (uint32_t& word : words_) {
      carry += factor * word;
      word = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    if (carry) words_.push_back(static_cast<uint32_t>(carry));
  }
  void times(uint64_t factor, int64_t power) {
    for (int64_t i = 0; i < power; i++) times(factor);
  }
  /// No word at the end is 0, since no factor is.
  bool is_less(const LongProduct& other) const {
    if (words_.size() != other.words_.size()) return words_.size() < other.words_.size();
    for (size_t i = words_.size(); i-- > 0;)
      if (words_[i] != other.words_[i]) return words_[i] < other.words_[i];
    return false;
  }

 private:
  std::vector<uint32_t> words_ = {1};
};

/// Least distances of the buckets of one direction; `own` of them, the first `exact` of which hold one distance each.
inline std::vector<int32_t> bucket_starts_of(int64_t own, int64_t exact, int64_t max_distance) {
  std::vector<int32_t> starts;
  for (int64_t n = 0; n <= exact; n++) starts.push_back(static_cast<int32_t>(n));
  const int64_t half = own - exact;
  for (int64_t j = 1; j < half; j++) {
    LongProduct needed;
    needed.times(static_cast<uint64_t>(exact), half), needed.times(static_cast<uint64_t>(max_distance), j);
    int64_t below = starts.back() - 1, start = max_distance;
    while (start - below > 1) {
      const int64_t middle = (below + start) / 2;
      LongProduct found;
      found.times(static_cast<uint64_t>(exact), j), found.times(static_cast<uint64_t>(middle), half);
      if (found.is_less(needed)) below = middle;
      else start = middle;
    }
    starts.push_back(static_cast<int32_t>(start));
  }
  return starts;
}

/// The same, computed once a thread.
inline const std::vector<int32_t>& bucket_starts(int64_t own, int64_t exact, int64_t max_distance) {
  thread_local std::map<std::tuple<int64_t, int64_t, int64_t>, std::vector<int32_t>> known;
  std::vector<int32_t>& starts = known[std::make_tuple(own, exact, max_distance)];
  if (starts.empty()) starts = bucket_starts_of(own, exact, max_distance);
  return starts;
}

}  // namespace troupe
