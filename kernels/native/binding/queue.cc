#include "queue.h"

#include <chrono>
#include <new>

namespace troupe {

Queue::Queue(const Kernels& kernels, int threads, std::function<void(std::unique_ptr<Job>)> done)
    : kernels_(kernels), pool_(threads), done_(std::move(done)), thread_([this] { loop(); }) {}

Queue::~Queue() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Queue::submit(std::unique_ptr<Job> job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  changed_.notify_all();
}

void Queue::run_now(Job& job) {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !busy_ && waiting_.empty(); });
    busy_ = true;
  }
  run(job);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    busy_ = false;
  }
  changed_.notify_all();
}

void Queue::loop() {
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || (!busy_ && !waiting_.empty()); });
      if (stop_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
      busy_ = true;
    }
    run(*job);
    if (!stop_) done_(std::move(job));
    {
      std::lock_guard<std::mutex> lock(mutex_);
      busy_ = false;
    }
    changed_.notify_all();
  }
}

void Queue::run(Job& job) {
  if (!job.outcome.code.empty()) return;
  const auto begin = std::chrono::steady_clock::now();
  try {
    for (const Call& call : job.list.calls) {
      if (stop_) break;
      run_call(kernels_, call, pool_);
    }
  } catch (const RangeError& error) {
    job.outcome.code = "TROUPE_KERNEL_RANGE";
    job.outcome.message = error.what();
  } catch (const std::bad_alloc&) {
    job.outcome.code = "TROUPE_KERNEL_FAILED";
    job.outcome.message = "out of memory for scratch; use smaller microbatches";
  }
  job.outcome.kernel_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace troupe
