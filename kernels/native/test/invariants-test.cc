// Planted faults: each must be caught by an invariant, and what is left must still work. Run by invariants.test.ts and sanitize.mjs.
#include <cstdio>
#include <memory>
#include <string>

#include "../binding/queue.h"
#include "../cpu.h"
#include "../invariant.h"

using namespace troupe;

namespace {

int failures = 0, checks = 0;
void expect(bool ok, const std::string& what) {
  checks++;
  if (!ok && ++failures) std::printf("FAIL %s\n", what.c_str());
}
/// `says`: part of the sentence that must be named.
template <class Run>
void expect_caught(const std::string& says, const Run& run) {
  try {
    run();
    expect(false, "nothing was caught: " + says);
  } catch (const InvariantError& error) {
    expect(std::string(error.what()).find(says) != std::string::npos, says + ", found: " + error.what());
  }
}

void plant_in_pools() {
  expect_caught("at least one thread", [] { Pool pool(0); });
  Pool pool(2);
  expect_caught("slot of scratch exists", [&] { pool.scratch(0, Pool::NUM_SLOTS, 64); });
  expect_caught("belongs to a thread", [&] { pool.scratch(3, 0, 64); });
  expect_caught("waits for has items", [] {
    const int32_t counter = 0;
    Pool::wait_for(counter, 0);
  });
  expect_caught("negative number of items", [&] { pool.parallel(-1, [](int64_t, int) {}); });
  Pool alone(1);
  expect_caught("no loop inside a loop", [&] { alone.parallel(1, [&](int64_t, int) { alone.parallel(1, [](int64_t, int) {}); }); });
  for (Pool* each : {&pool, &alone}) {
    std::atomic<int> items{0};
    each->parallel(10, [&](int64_t, int) { items++; });
    expect(items == 10, "a pool works after a fault");
  }
}

Job fill_of(float* out) {
  Job job;
  job.list.calls.emplace_back(FillArgs{out, 1, FillKind::constant, 1.0, {0, 0}, 0});
  return job;
}

void plant_in_queues() {
  Kernels kernels = *kernels_named("portable");
  float out = 0;
  {
    Kernels broken = kernels;
    broken.fill = [](const FillArgs&, Pool&) { invariant(false, "planted", 7); };
    Queue queue(broken, 2, [](std::unique_ptr<Job>) {});
    Job job = fill_of(&out);
    queue.run_now(job);
    expect(job.outcome.code == "TROUPE_INVARIANT" && job.outcome.message == "native: planted (found 7)",
           "a broken invariant fails its list");
  }
  std::atomic<bool> caught{false}, done{false};
  Queue* own = nullptr;
  Queue queue(kernels, 2, [&](std::unique_ptr<Job> job) {
    try {
      own->run_now(*job);
    } catch (const InvariantError& error) {
      caught = std::string(error.what()).find("does not wait for itself") != std::string::npos;
    }
    done = true;
  });
  own = &queue;
  expect_caught("submitted is a job", [&] { queue.submit(nullptr); });
  queue.submit(std::make_unique<Job>(fill_of(&out)));
  while (!done) std::this_thread::yield();
  expect(caught, "the queue's thread may not wait for itself");
  Job after = fill_of(&out);
  queue.run_now(after);
  expect(after.outcome.code.empty() && out == 1.0f, "a queue works after a fault");
}

}  // namespace

int main() {
  plant_in_pools();
  plant_in_queues();
  std::printf("invariants: %d checks, %d failed\n", checks, failures);
  return failures == 0 ? 0 : 1;
}
