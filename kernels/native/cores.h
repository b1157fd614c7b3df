// Which cores belong to a pool.
#pragma once
#include <vector>

namespace troupe {

/// Numbers of the cores that this process may run on (affinity mask, cpuset), read once, before any thread is pinned.
const std::vector<int>& usable_cores();

/// CORE-1: a core belongs to one pool at a time, over all processes of the machine (a lock on a file that the kernel drops when the
///         process ends), so two workers, or two jobs, never pin to the same core.
/// CORE-2: nothing is pinned unless a core is left for the event loop: `threads` < usable cores.
/// CORE-3: no claim is an error. Without Linux, with TROUPE_PIN=0, or when too few cores are free, `cores` is empty and threads float.
class CoreClaim {
 public:
  explicit CoreClaim(int threads);
  ~CoreClaim();
  CoreClaim(const CoreClaim&) = delete;
  CoreClaim& operator=(const CoreClaim&) = delete;

  /// Core of each thread, or empty.
  const std::vector<int>& cores() const { return cores_; }
  /// Moves the calling thread to the core of pool thread `thread`; does nothing without a claim.
  void pin(int thread) const;

 private:
  std::vector<int> cores_, locks_;
};

}  // namespace troupe
