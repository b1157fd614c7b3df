#include "queue.h"

#include <chrono>
#include <new>

#include "../invariant.h"

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
  invariant(job != nullptr, "what is submitted is a job");
  {
    std::lock_guard<std::mutex> lock(mutex_);
    invariant(!stop_, "nothing is submitted to a queue that stops");
    waiting_.push_back(std::move(job));
  }
  changed_.notify_all();
}

void Queue::run_now(Job& job) {
  invariant(std::this_thread::get_id() != thread_.get_id(), "the queue's thread does not wait for itself (QUEUE-2)");
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
  pool_.pin_caller();
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || (!busy_ && !waiting_.empty()); });
      if (stop_) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
      invariant(!busy_ && job != nullptr, "one job runs at a time (QUEUE-2)");
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

void Queue::run_timed(Job& job, const Call& call) {
  pool_.start_timing();
  const double begin = Pool::now_seconds();
  run_call(kernels_, call, pool_);
  const double end = Pool::now_seconds();
  job.times.push_back(1000 * begin);
  job.times.push_back(1000 * end);
  for (int thread = 0; thread < pool_.threads(); thread++) {
    const Pool::ThreadTime& time = pool_.time_of(thread);
    for (const double seconds : {time.first, time.last, time.busy}) job.times.push_back(1000 * seconds);
  }
}

void Queue::run(Job& job) {
  if (!job.outcome.code.empty()) return;
  const auto begin = std::chrono::steady_clock::now();
  try {
    if (job.timed) job.times.reserve(job.list.calls.size() * static_cast<size_t>(times_per_call()));
    for (const Call& call : job.list.calls) {
      if (stop_) break;
      if (job.timed)
        run_timed(job, call);
      else
        run_call(kernels_, call, pool_);
    }
  } catch (const RangeError& error) {
    job.outcome.code = "TROUPE_KERNEL_RANGE";
    job.outcome.message = error.what();
  } catch (const InvariantError& error) {
    job.outcome.code = "TROUPE_INVARIANT";
    job.outcome.message = error.what();
  } catch (const std::bad_alloc&) {
    job.outcome.code = "TROUPE_KERNEL_FAILED";
    job.outcome.message = "out of memory for scratch; use smaller microbatches";
  }
  if (job.timed) {
    pool_.stop_timing();
    invariant(job.times.size() % static_cast<size_t>(times_per_call()) == 0, "a timed call has all of its times (QUEUE-3)",
              static_cast<int64_t>(job.times.size()));
  }
  job.outcome.kernel_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace troupe
