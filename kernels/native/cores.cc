#include "cores.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#if defined(__linux__)
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <unistd.h>
#endif

namespace troupe {
namespace {

std::vector<int> find_usable_cores() {
  std::vector<int> cores;
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; core++) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
  }
#endif
  const int known = static_cast<int>(std::thread::hardware_concurrency());
  for (int core = 0; cores.empty() || (core > 0 && core < known); core++) cores.push_back(core);
  return cores;
}

#if defined(__linux__)
/// A lock on the core's file, or -1. Files of other users can be locked but not created, so creation comes second.
int lock_core(int core) {
  const std::string path = "/tmp/troupe-core-" + std::to_string(core) + ".lock";
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) file = open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0) return -1;
  if (flock(file, LOCK_EX | LOCK_NB) == 0) return file;
  close(file);
  return -1;
}
#endif

}  // namespace

const std::vector<int>& usable_cores() {
  static const std::vector<int> cores = find_usable_cores();
  return cores;
}

CoreClaim::CoreClaim(int threads) {
#if defined(__linux__)
  const size_t wanted = static_cast<size_t>(threads);
  const char* choice = std::getenv("TROUPE_PIN");
  if (usable_cores().size() <= wanted || (choice != nullptr && std::strcmp(choice, "0") == 0)) return;
  for (const int core : usable_cores()) {
    if (cores_.size() == wanted) return;
    const int lock = lock_core(core);
    if (lock < 0) continue;
    locks_.push_back(lock);
    cores_.push_back(core);
  }
  if (cores_.size() < wanted) cores_.clear();
#else
  (void)threads;
#endif
}

CoreClaim::~CoreClaim() {
#if defined(__linux__)
  for (const int lock : locks_) close(lock);
#endif
}

void CoreClaim::pin(int thread) const {
#if defined(__linux__)
  if (cores_.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cores_[static_cast<size_t>(thread)], &set);
  sched_setaffinity(0, sizeof set, &set);  // a refusal leaves the thread floating
#else
  (void)thread;
#endif
}

}  // namespace troupe
