// The threads of one device: the queue's own thread and n-1 helpers that share its parallel loops.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "cores.h"

namespace troupe {

/// POOL-1: `parallel` returns after every item has run, and no helper touches the body afterwards.
/// POOL-2: items are dealt one by one in ascending order, so an item may wait for an earlier one that never waits itself.
/// POOL-3: a helper sleeps when idle; it spins a short while first (30 µs) only when this process's pools leave cores spare.
/// POOL-4: one caller at a time per pool; a device's queue sees to it for all its callers. Bodies must not throw and must not call
///         `parallel` again.
/// POOL-5: opening, joining and leaving a loop are atomic operations on one word. The mutex is taken only to fall asleep and to wake.
/// POOL-6: threads stay on cores of their own when such can be claimed (cores.h). A thread's scratch is first touched by that thread, so
///         with several memory nodes it lies beside its core.
class Pool {
 public:
  explicit Pool(int threads);
  ~Pool();  // no loop may be running
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_; }
  /// For the thread that will call `parallel` and does nothing else.
  void pin_caller() const { claim_.pin(0); }

  /// Runs body(item, thread) for item 0 … num_items-1; `thread` is 0 … threads-1, 0 being the caller.
  template <class Body>
  void parallel(int64_t num_items, Body&& body) {
    using B = typename std::remove_reference<Body>::type;
    run(num_items, [](void* b, int64_t item, int thread) { (*static_cast<B*>(b))(item, thread); },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

  /// Scratch of one thread, 64-byte aligned, contents undefined; it only grows, so a steady state allocates nothing.
  /// A slot's memory is valid until the same slot is asked for a larger size. Slots 0 … 7 belong to the products,
  /// 8 … 15 to the row-wise operations. `shared` is one more set, for the caller to hand to all threads.
  void* scratch(int thread, int slot, size_t bytes);
  void* shared(int slot, size_t bytes) { return scratch(threads_, slot, bytes); }
  template <class T>
  T* scratch_of(int thread, int slot, size_t count) { return static_cast<T*>(scratch(thread, slot, count * sizeof(T))); }
  template <class T>
  T* shared_of(int slot, size_t count) { return static_cast<T*>(shared(slot, count * sizeof(T))); }

  static constexpr int NUM_SLOTS = 16;

  /// What a thread did in the loops since `start_timing`: first begin and last end on steady_clock and the time inside, seconds.
  /// All 0 for a thread that took no item.
  struct ThreadTime {
    double first = 0, last = 0, busy = 0;
  };
  /// Clears the times and takes them from the next loop on; a loop that is not timed reads no clock. For the caller of `parallel`,
  /// between loops.
  void start_timing();
  void stop_timing() { timed_ = false; }
  const ThreadTime& time_of(int thread) const { return times_[static_cast<size_t>(thread)].time; }
  static double now_seconds();

  /// An item may wait for earlier items (POOL-2) on a counter that they increase when they are done.
  static void announce(int32_t& counter);
  static void wait_for(const int32_t& counter, int32_t target);

 private:
  using Fn = void (*)(void*, int64_t, int);
  struct alignas(64) Buffer {
    void* data = nullptr;
    size_t bytes = 0;
  };
  struct alignas(64) TimeSlot {
    ThreadTime time;
  };
  void run(int64_t num_items, Fn fn, void* body);
  void run_items(int64_t num_items, Fn fn, void* body);
  void wake_helpers(int64_t most);
  void wait_for_helpers();
  void help(int thread);
  bool await_loop(uint64_t seen);
  bool enter(uint64_t& seen);
  void leave();
  /// An item that throws ends the process: the others may still use what the caller would unwind.
  void work(Fn fn, void* body, int64_t num_items, int thread, bool timed) noexcept;
  void record(int thread, double begin);

  const int threads_;
  const CoreClaim claim_;
  std::vector<std::thread> helpers_;
  std::vector<Buffer> buffers_;
  std::vector<TimeSlot> times_;

  // The open loop. The caller writes these while the loop is closed and no helper is inside.
  Fn fn_ = nullptr;
  void* body_ = nullptr;
  int64_t num_items_ = 0;
  bool timed_ = false;
  std::atomic<bool> running_{false};  // a caller is inside `parallel`

  /// Helpers inside the loop (low bits), whether it is open, and its number.
  alignas(64) std::atomic<uint64_t> loop_{0};
  alignas(64) std::atomic<int64_t> next_{0};

  // Sleeping. A thread announces that it falls asleep, then checks `loop_` again; whoever changes `loop_` looks for sleepers afterwards.
  std::atomic<int> sleepers_{0};
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;      // helpers: a new loop, or stop
  std::condition_variable finished_;  // caller: the last helper has left the loop
};

/// Zeroed memory. From 1 MiB on 2 MiB aligned and offered to transparent huge pages (Linux); below, 64-byte aligned.
/// Throws std::bad_alloc; never null.
void* allocate_aligned(size_t bytes);
/// `bytes` as given to allocate_aligned.
void free_aligned(void* data, size_t bytes);

}  // namespace troupe
