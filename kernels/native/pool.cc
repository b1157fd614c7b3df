#include "pool.h"

#include "invariant.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sys/mman.h>

namespace troupe {
namespace {

/// Threads of all pools of this process. They spin only while there are no more of them than cores.
std::atomic<int> process_threads{0};

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Longer than the gap between two loops of a list of calls, far shorter than a scheduling slice.
constexpr double SPIN_SECONDS = 30e-6;

/// Spins until done() or for SPIN_SECONDS; not at all when threads outnumber cores. Returns done().
template <class Done>
bool spin_until(const Done& done) {
  if (done()) return true;
  if (process_threads.load(std::memory_order_relaxed) > static_cast<int>(usable_cores().size())) return false;
  const double end = Pool::now_seconds() + SPIN_SECONDS;
  do {
    for (int i = 0; i < 16; i++) {
      pause_cpu();
      if (done()) return true;
    }
  } while (Pool::now_seconds() < end);
  return false;
}

// The word `loop_`.
constexpr uint64_t INSIDE_ONE = 1, INSIDE_MASK = 0xffff, OPEN_BIT = uint64_t{1} << 16, NUMBER_ONE = uint64_t{1} << 17;
constexpr uint64_t number_of(uint64_t loop) { return loop & ~(NUMBER_ONE - 1); }

constexpr size_t LARGE_BLOCK = size_t{1} << 20;
constexpr size_t HUGE_PAGE = size_t{2} << 20;

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

Pool::Pool(int threads)
    : threads_(threads), claim_(threads), buffers_(static_cast<size_t>(threads + 1) * NUM_SLOTS), times_(static_cast<size_t>(threads)) {
  invariant(threads >= 1 && static_cast<uint64_t>(threads) <= INSIDE_MASK,
            "a pool has at least one thread, and no more than its word counts", threads);
  process_threads += threads_;
  helpers_.reserve(static_cast<size_t>(threads - 1));
  for (int i = 1; i < threads; i++) helpers_.emplace_back([this, i] { help(i); });
}

Pool::~Pool() {
  stop_ = true;
  {
    std::lock_guard<std::mutex> lock(mutex_);
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

void Pool::work(Fn fn, void* body, int64_t num_items, int thread, bool timed) noexcept {
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
  invariant(num_items >= 0, "a loop has no negative number of items", num_items);
  invariant(!running_.exchange(true, std::memory_order_relaxed), "one caller at a time, and no loop inside a loop (POOL-4)", num_items);
  struct Leaving {
    std::atomic<bool>& running;
    ~Leaving() { running.store(false, std::memory_order_relaxed); }
  } leaving = {running_};
  run_items(num_items, fn, body);
}

void Pool::run_items(int64_t num_items, Fn fn, void* body) {
  if (threads_ == 1 || num_items <= 1) {
    const double begin = timed_ && num_items > 0 ? now_seconds() : 0;
    for (int64_t item = 0; item < num_items; item++) fn(body, item, 0);
    if (timed_ && num_items > 0) record(0, begin);
    return;
  }
  invariant((loop_.load(std::memory_order_relaxed) & (INSIDE_MASK | OPEN_BIT)) == 0,
            "no helper is inside a loop that has returned (POOL-1)",
            static_cast<int64_t>(loop_.load(std::memory_order_relaxed) & INSIDE_MASK));
  fn_ = fn;
  body_ = body;
  num_items_ = num_items;
  next_.store(0, std::memory_order_relaxed);
  loop_.store(number_of(loop_.load(std::memory_order_relaxed)) + NUMBER_ONE + OPEN_BIT);
  wake_helpers(num_items - 1);
  work(fn, body, num_items, 0, timed_);
  // From here on no helper enters, so one that never woke up is not waited for.
  loop_.fetch_and(~OPEN_BIT);
  wait_for_helpers();
}

void Pool::wake_helpers(int64_t most) {
  const int sleeping = sleepers_.load();
  if (sleeping == 0) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);  // once this lock is taken, every helper that announced itself is waiting
  }
  if (most >= sleeping) {
    wake_.notify_all();
  } else {
    for (; most > 0; most--) wake_.notify_one();
  }
}

void Pool::wait_for_helpers() {
  const auto left = [this] { return (loop_.load() & INSIDE_MASK) == 0; };
  if (spin_until(left)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  caller_sleeps_ = true;
  finished_.wait(lock, left);
  caller_sleeps_ = false;
}

void Pool::help(int thread) {
  claim_.pin(thread);
  for (uint64_t seen = 0; await_loop(seen);) {
    if (!enter(seen)) continue;
    work(fn_, body_, num_items_, thread, timed_);
    leave();
  }
}

/// Until there is a loop other than `seen` (true) or the pool ends.
bool Pool::await_loop(uint64_t seen) {
  const auto news = [&] { return number_of(loop_.load()) != seen || stop_.load(); };
  if (!spin_until(news)) {
    std::unique_lock<std::mutex> lock(mutex_);
    sleepers_++;
    wake_.wait(lock, news);
    sleepers_--;
  }
  return !stop_.load();
}

/// Joins the open loop; false if it is closed already. Either way the loop counts as seen.
bool Pool::enter(uint64_t& seen) {
  uint64_t loop = loop_.load();
  do {
    seen = number_of(loop);
    if ((loop & OPEN_BIT) == 0) return false;
  } while (!loop_.compare_exchange_weak(loop, loop + INSIDE_ONE));
  return true;
}

void Pool::leave() {
  const uint64_t inside = loop_.fetch_sub(INSIDE_ONE) & INSIDE_MASK;
  invariant(inside >= INSIDE_ONE, "a helper leaves a loop that it has entered");
  if (inside != INSIDE_ONE || !caller_sleeps_.load()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
  }
  finished_.notify_one();
}

void Pool::announce(int32_t& counter) { __atomic_fetch_add(&counter, 1, __ATOMIC_ACQ_REL); }

void Pool::wait_for(const int32_t& counter, int32_t target) {
  invariant(target > 0, "what an item waits for has items", target);
  const auto reached = [&] { return __atomic_load_n(&counter, __ATOMIC_ACQUIRE) >= target; };
  while (!spin_until(reached)) std::this_thread::yield();
}

void* Pool::scratch(int thread, int slot, size_t bytes) {
  invariant(thread >= 0 && thread <= threads_, "scratch belongs to a thread of the pool, or to all of them", thread);
  invariant(slot >= 0 && slot < NUM_SLOTS, "a slot of scratch exists", slot);
  Buffer& buffer = buffers_[static_cast<size_t>(thread) * NUM_SLOTS + static_cast<size_t>(slot)];
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
  if (bytes < LARGE_BLOCK) {
    void* data = nullptr;
    if (posix_memalign(&data, 64, round_up(bytes, 64)) != 0) throw std::bad_alloc();
    std::memset(data, 0, bytes);
    return data;
  }
  // Map one huge page more than needed and unmap what lies outside the aligned part.
  const size_t size = round_up(bytes, HUGE_PAGE);
  void* mapped = mmap(nullptr, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* begin = static_cast<char*>(mapped);
  char* data = reinterpret_cast<char*>(round_up(reinterpret_cast<size_t>(begin), HUGE_PAGE));
  if (data > begin) munmap(begin, static_cast<size_t>(data - begin));
  char* end = begin + size + HUGE_PAGE;
  if (end > data + size) munmap(data + size, static_cast<size_t>(end - (data + size)));
#if defined(MADV_HUGEPAGE)
  madvise(data, size, MADV_HUGEPAGE);
#endif
  return data;
}

void free_aligned(void* data, size_t bytes) {
  if (data == nullptr) return;
  if (bytes == 0) bytes = 1;
  if (bytes < LARGE_BLOCK) {
    std::free(data);
  } else {
    munmap(data, round_up(bytes, HUGE_PAGE));
  }
}

}  // namespace troupe
