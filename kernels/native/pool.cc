#include "pool.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sched.h>
#endif
#include <sys/mman.h>

namespace troupe {
namespace {

/// Threads of all pools of this process: spinning is allowed only while they fit the cores it may run on.
std::atomic<int> process_threads{0};

int usable_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const unsigned cores = std::thread::hardware_concurrency();
  return cores == 0 ? 1 : static_cast<int>(cores);
}

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// About 30 µs: longer than the gap between two loops of one call list, far shorter than a scheduling slice.
constexpr int spin_rounds = 1500;

int spin_budget() {
  static const int cores = usable_cores();
  return process_threads.load(std::memory_order_relaxed) <= cores ? spin_rounds : 0;
}

constexpr size_t large_block = size_t{1} << 20;
constexpr size_t huge_page = size_t{2} << 20;

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

Pool::Pool(int threads)
    : threads_(threads), buffers_(static_cast<size_t>(threads + 1) * num_slots), times_(static_cast<size_t>(threads)) {
  process_threads += threads_;
  helpers_.reserve(static_cast<size_t>(threads - 1));
  for (int i = 1; i < threads; i++) helpers_.emplace_back([this, i] { help(i); });
}

Pool::~Pool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    generation_++;
  }
  wake_.notify_all();
  for (auto& helper : helpers_) helper.join();
  process_threads -= threads_;
  for (auto& buffer : buffers_) free_aligned(buffer.data, buffer.bytes);
}

double Pool::now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Pool::start_timing() {
  for (TimeSlot& slot : times_) slot.time = ThreadTime{};
  timed_ = true;
}

void Pool::work(Fn fn, void* body, int64_t num_items, int thread, bool timed) {
  int64_t item = next_.fetch_add(1, std::memory_order_relaxed);
  if (item >= num_items) return;
  const double begin = timed ? now_seconds() : 0;
  for (; item < num_items; item = next_.fetch_add(1, std::memory_order_relaxed)) fn(body, item, thread);
  if (timed) record(thread, begin);
}

void Pool::record(int thread, double begin) {
  ThreadTime& time = times_[static_cast<size_t>(thread)].time;
  time.last = now_seconds();
  time.busy += time.last - begin;
  if (time.first == 0) time.first = begin;
}

void Pool::run(int64_t num_items, Fn fn, void* body) {
  if (threads_ == 1 || num_items <= 1) {
    const double begin = timed_ && num_items > 0 ? now_seconds() : 0;
    for (int64_t item = 0; item < num_items; item++) fn(body, item, 0);
    if (timed_ && num_items > 0) record(0, begin);
    return;
  }
  bool asleep;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    fn_ = fn;
    body_ = body;
    num_items_ = num_items;
    next_.store(0, std::memory_order_relaxed);
    open_ = true;
    generation_++;
    asleep = sleepers_ > 0;
  }
  if (asleep) wake_.notify_all();
  work(fn, body, num_items, 0, timed_);
  {
    // From here no further helper enters, so a helper that never woke up is not waited for.
    std::lock_guard<std::mutex> lock(mutex_);
    open_ = false;
  }
  for (int spins = spin_budget(); inside_.load(std::memory_order_acquire) != 0 && spins > 0; spins--) pause_cpu();
  if (inside_.load(std::memory_order_acquire) == 0) return;
  std::unique_lock<std::mutex> lock(mutex_);
  finished_.wait(lock, [this] { return inside_.load(std::memory_order_relaxed) == 0; });
}

void Pool::help(int thread) {
  uint64_t seen = 0;
  for (;;) {
    for (int spins = spin_budget(); generation_.load(std::memory_order_relaxed) == seen && spins > 0; spins--) pause_cpu();
    Fn fn;
    void* body;
    int64_t num_items;
    bool timed;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      sleepers_++;
      wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
      sleepers_--;
      seen = generation_.load(std::memory_order_relaxed);
      if (stop_) return;
      if (!open_) continue;
      inside_.fetch_add(1, std::memory_order_relaxed);
      fn = fn_;
      body = body_;
      num_items = num_items_;
      timed = timed_;
    }
    work(fn, body, num_items, thread, timed);
    std::lock_guard<std::mutex> lock(mutex_);
    if (inside_.fetch_sub(1, std::memory_order_release) == 1 && !open_) finished_.notify_one();
  }
}

void Pool::announce(int32_t& counter) { __atomic_fetch_add(&counter, 1, __ATOMIC_ACQ_REL); }

void Pool::wait_for(const int32_t& counter, int32_t target) {
  for (int spins = 0; __atomic_load_n(&counter, __ATOMIC_ACQUIRE) < target; spins++) {
    if (spins < spin_rounds) pause_cpu(); else std::this_thread::yield();
  }
}

void* Pool::scratch(int thread, int slot, size_t bytes) {
  Buffer& buffer = buffers_[static_cast<size_t>(thread) * num_slots + static_cast<size_t>(slot)];
  if (buffer.bytes < bytes) {
    free_aligned(buffer.data, buffer.bytes);
    buffer.data = nullptr;
    buffer.bytes = 0;
    const size_t size = round_up(bytes + bytes / 8, 4096);
    buffer.data = allocate_aligned(size);
    buffer.bytes = size;
  }
  return buffer.data;
}

void* allocate_aligned(size_t bytes) {
  if (bytes == 0) bytes = 1;
  if (bytes < large_block) {
    void* data = nullptr;
    if (posix_memalign(&data, 64, round_up(bytes, 64)) != 0) throw std::bad_alloc();
    std::memset(data, 0, bytes);
    return data;
  }
  // Map one huge page more than needed, give back what lies outside the aligned part.
  const size_t size = round_up(bytes, huge_page);
  void* mapped = mmap(nullptr, size + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* begin = static_cast<char*>(mapped);
  char* data = reinterpret_cast<char*>(round_up(reinterpret_cast<size_t>(begin), huge_page));
  if (data > begin) munmap(begin, static_cast<size_t>(data - begin));
  char* end = begin + size + huge_page;
  if (end > data + size) munmap(data + size, static_cast<size_t>(end - (data + size)));
#if defined(MADV_HUGEPAGE)
  madvise(data, size, MADV_HUGEPAGE);
#endif
  return data;
}

void free_aligned(void* data, size_t bytes) {
  if (data == nullptr) return;
  if (bytes == 0) bytes = 1;
  if (bytes < large_block) {
    std::free(data);
  } else {
    munmap(data, round_up(bytes, huge_page));
  }
}

}  // namespace troupe
