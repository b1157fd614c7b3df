// The device's own thread: runs lists of calls in the order of submission.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "../pool.h"
#include "calls.h"

namespace troupe {

/// Outcome of one list. `code` is empty when every call ran.
struct Outcome {
  std::string code, message;
  double kernel_ms = 0;
};

struct Job {
  CallList list;
  bool timed = false;
  /// QUEUE-3: of a timed job, `times_per_call` milliseconds for each call that ran, on steady_clock: start, end, and for each thread of
  /// the pool its first start, its last end and its time inside loops.
  std::vector<double> times;
  Outcome outcome;  // with a code already set (a shape error) the list does not run, but it still completes in its turn
  void* tag = nullptr;
};

/// QUEUE-1: jobs complete in the order of submission; `done` is called on the queue's thread.
/// QUEUE-2: `run_now` waits until the queue is empty, then runs on the calling thread, so that the pool has one caller.
class Queue {
 public:
  Queue(const Kernels& kernels, int threads, std::function<void(std::unique_ptr<Job>)> done);
  ~Queue();  // finishes the call that is running, drops the rest

  void submit(std::unique_ptr<Job> job);
  void run_now(Job& job);
  int threads() const { return pool_.threads(); }
  int times_per_call() const { return 2 + 3 * pool_.threads(); }
  const Kernels& kernels() const { return kernels_; }

 private:
  void loop();
  void run(Job& job);
  void run_timed(Job& job, const Call& call);

  const Kernels& kernels_;
  Pool pool_;
  std::function<void(std::unique_ptr<Job>)> done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Job>> waiting_;
  bool busy_ = false;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace troupe
