// What the drivers of the row-wise operations share: deterministic draws, guarded outputs, and `everywhere`, which holds one run on
// every instruction set of this CPU with 1, 2 and 3 threads to the same bits. Included once per driver.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../ops.h"
#include "../pool.h"

using namespace troupe;

namespace {

int failures = 0;
long checks = 0;
void expect(bool ok, const std::string& what) {
  checks++;
  if (ok) return;
  if (++failures <= 40) printf("FAIL %s\n", what.c_str());
}

struct Random {
  uint64_t state;
  explicit Random(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15ull + 1) {}
  uint64_t bits() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(bits() % static_cast<uint64_t>(n)); }
  int64_t between(int64_t a, int64_t b) { return a + below(b - a + 1); }
  float real() { return static_cast<float>(static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0); }
  std::vector<float> reals(int64_t n, float scale = 1.0f) {
    std::vector<float> x(static_cast<size_t>(n));
    for (auto& v : x) v = scale * real();
    return x;
  }
};

/// Outputs of one run: each with a guard behind it.
struct Outputs {
  struct Array {
    std::vector<unsigned char> bytes;
    size_t used;
  };
  std::vector<std::unique_ptr<Array>> arrays;
  template <class T>
  T* make(int64_t n, const T* from = nullptr) {
    auto array = std::make_unique<Array>();
    array->used = static_cast<size_t>(n) * sizeof(T);
    array->bytes.assign(array->used + 64, 0xa5);
    if (from && n > 0) memcpy(array->bytes.data(), from, array->used);
    else memset(array->bytes.data(), 0, array->used);
    T* data = reinterpret_cast<T*>(array->bytes.data());
    arrays.push_back(std::move(array));
    return data;
  }
  template <class T>
  const T* at(size_t i) const { return reinterpret_cast<const T*>(arrays[i]->bytes.data()); }
};

std::vector<const Kernels*> isas() {
  std::vector<const Kernels*> all = {&kernels_portable()};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back(&kernels_avx2());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) all.push_back(&kernels_avx512());
#elif defined(__aarch64__)
  all.push_back(&kernels_neon());
#endif
  return all;
}
Pool& pool_of(int threads) {
  static std::unique_ptr<Pool> pools[4];
  auto& pool = pools[threads];
  if (!pool) pool = std::make_unique<Pool>(threads);
  return *pool;
}

using Run = std::function<void(const Kernels&, Pool&, Outputs&)>;

/// FNV-1a over every output of every test: equal on two machines when they compute the same bits.
uint64_t digest = 0xcbf29ce484222325ull;

/// Runs everywhere, compares bit for bit, returns the outputs of the last instruction set.
Outputs everywhere(const std::string& name, const Run& run) {
  Outputs first;
  bool have = false;
  for (const Kernels* kernels : isas()) {
    for (int threads = 1; threads <= 3; threads++) {
      Outputs out;
      run(*kernels, pool_of(threads), out);
      for (size_t a = 0; a < out.arrays.size(); a++) {
        const auto& array = *out.arrays[a];
        bool intact = true;
        for (size_t i = array.used; i < array.bytes.size(); i++) intact &= array.bytes[i] == 0xa5;
        expect(intact, name + ": writes behind output " + std::to_string(a) + " on " + kernels->isa);
        if (!have) continue;
        size_t at = 0;
        while (at < array.used && array.bytes[at] == first.arrays[a]->bytes[at]) at++;
        expect(at == array.used, name + ": output " + std::to_string(a) + " differs at byte " + std::to_string(at) + " on " + kernels->isa +
                                     " with " + std::to_string(threads) + " threads");
      }
      if (!have) first = std::move(out);
      have = true;
    }
  }
  for (const auto& array : first.arrays)
    for (size_t i = 0; i < array->used; i++) digest = (digest ^ array->bytes[i]) * 0x100000001b3ull;
  return first;
}

double worst_seen = 0;
std::string worst_name;
void near(const std::string& name, double found, double wanted, double tolerance) {
  const double error = std::fabs(found - wanted), limit = tolerance * (1.0 + std::fabs(wanted));
  if (!(error <= limit)) expect(false, name + ": found " + std::to_string(found) + ", wanted " + std::to_string(wanted));
  else checks++;
  if (error / limit > worst_seen) worst_seen = error / limit, worst_name = name;
}
[[maybe_unused]] double fixed(int64_t value) { return static_cast<double>(value) * 0x1p-50; }

std::vector<int32_t> random_bounds(Random& random, int64_t rows, int64_t count) {
  std::vector<int32_t> starts(static_cast<size_t>(count + 1), 0);
  for (int64_t g = 1; g < count; g++) starts[static_cast<size_t>(g)] = static_cast<int32_t>(random.below(rows + 1));
  starts[static_cast<size_t>(count)] = static_cast<int32_t>(rows);
  std::sort(starts.begin(), starts.end());
  return starts;
}
[[maybe_unused]] bool same_bytes(const void* a, const void* b, size_t bytes) { return bytes == 0 || memcmp(a, b, bytes) == 0; }
size_t z(int64_t i) { return static_cast<size_t>(i); }

/// One line for people and tests; the exit status of a driver.
int report(const char* driver) {
  std::string names;
  for (const Kernels* k : isas()) names += std::string(" ") + k->isa;
  printf("%s:%s; %ld checks, %d failed; closest to its tolerance: %s (%.2f); bits %016llx\n", driver, names.c_str(), checks, failures,
         worst_name.c_str(), worst_seen, static_cast<unsigned long long>(digest));
  return failures == 0 ? 0 : 1;
}

}  // namespace
