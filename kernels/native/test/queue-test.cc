// Pools and queues under load: several devices at a time, several callers of each, loops whose items wait for earlier ones, pools that
// come and go. Every result is checked; ThreadSanitizer (sanitize.mjs) looks for the races that checks do not show.
//   queue-test [rounds] [seed]
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "../binding/queue.h"
#include "../cpu.h"

using namespace troupe;

namespace {

std::atomic<long> failures{0}, checks{0};
void expect(bool ok, const char* what) {
  checks++;
  if (!ok && ++failures <= 20) std::printf("FAIL %s\n", what);
}

/// Loops of 0 to 40 items; every third item waits for the two before it.
void use_pool(int threads, int rounds, unsigned seed) {
  Pool pool(threads);
  for (int round = 0; round < rounds; round++) {
    const int64_t items = (seed + static_cast<unsigned>(round) * 7) % 41;
    std::vector<int> done(static_cast<size_t>(items), 0);
    std::vector<int32_t> finished(static_cast<size_t>(items / 3 + 1), 0);
    pool.parallel(items, [&](int64_t item, int thread) {
      expect(thread >= 0 && thread < threads, "a thread's number");
      int* scratch = pool.scratch_of<int>(thread, 0, static_cast<size_t>(64 + item));
      scratch[item] = static_cast<int>(item);
      if (item % 3 == 2) {
        Pool::wait_for(finished[static_cast<size_t>(item / 3)], 2);
        expect(done[static_cast<size_t>(item - 1)] + done[static_cast<size_t>(item - 2)] == 2, "an item that was waited for has run");
      }
      done[static_cast<size_t>(item)] += 1 + scratch[item] - static_cast<int>(item);
      if (item % 3 != 2) Pool::announce(finished[static_cast<size_t>(item / 3)]);
    });
    for (const int count : done) expect(count == 1, "every item runs once before the loop returns");
    if (round % 50 == 49) std::this_thread::sleep_for(std::chrono::microseconds(200));  // helpers fall asleep
  }
}

/// y = x·Wᵀ twice over the same buffers, accumulating, so that lists out of order or at the same time would show.
struct Caller {
  static constexpr int64_t rows = 70, dim = 48;
  std::vector<float> x = std::vector<float>(rows * dim, 1.0f), w = std::vector<float>(dim * dim, 1.0f),
                     y = std::vector<float>(rows * dim, 0.0f);
  float sum = 0;

  std::unique_ptr<Job> job(bool timed) {
    auto job = std::make_unique<Job>();
    job->timed = timed;
    job->list.calls.emplace_back(LinearForwardArgs{rows, dim, dim, {x.data(), dim}, w.data(), {y.data(), dim}, true, {nullptr, 0}});
    job->tag = this;
    sum += dim;
    return job;
  }
  bool right() const {
    for (const float value : y) {
      if (value != sum) return false;
    }
    return true;
  }
};

void use_queue(int threads, int num_callers, int rounds) {
  std::atomic<int> submitted{0}, completed{0};
  std::mutex order;
  std::vector<const void*> tags;
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < num_callers; i++) callers.push_back(std::make_unique<Caller>());
  Queue queue(*kernels_named("auto"), threads, [&](std::unique_ptr<Job> job) {
    expect(job->outcome.code.empty(), "a list that is right runs");
    std::lock_guard<std::mutex> lock(order);
    tags.push_back(job->tag);
    completed++;
  });
  std::vector<std::thread> running;
  for (int i = 0; i < num_callers; i++) {
    running.emplace_back([&, i] {
      Caller& caller = *callers[static_cast<size_t>(i)];
      for (int round = 0; round < rounds; round++) {
        if ((round + i) % 2 == 1) {
          submitted++;
          queue.submit(caller.job(round % 5 == 0));
        } else {
          queue.run_now(*caller.job(round % 7 == 0));
        }
      }
    });
  }
  for (auto& thread : running) thread.join();
  while (completed.load() < submitted.load()) std::this_thread::yield();
  expect(static_cast<int>(tags.size()) == submitted.load(), "every submitted list completes");
  for (const auto& caller : callers) expect(caller->right(), "lists of one caller do not mix with another's");
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 12;
  const unsigned seed = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  for (int life = 0; life < 3; life++) {
    std::vector<std::thread> devices;
    for (int i = 0; i < 3; i++) devices.emplace_back([=] { use_pool(1 + (i + life) % 4, 40 * rounds, seed + static_cast<unsigned>(i)); });
    for (int i = 0; i < 2; i++) devices.emplace_back([=] { use_queue(2 + i, 3, 4 * rounds); });
    for (auto& device : devices) device.join();
  }
  std::printf("queue: %ld checks, %ld failed\n", checks.load(), failures.load());
  return failures == 0 ? 0 : 1;
}
