// The Node-API door: class NativeQueue, allocation of arrays, and measurements of the machine. Plain Node-API (version 8), no C++ wrapper.
#define NAPI_VERSION 8
#include <node_api.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "../cpu.h"
#include "../crc32.h"
#include "../invariant.h"
#include "queue.h"
#include "reader.h"

namespace troupe {
namespace {

napi_value undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}
napi_value string(napi_env env, const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.c_str(), text.size(), &value);
  return value;
}
napi_value number(napi_env env, double x) {
  napi_value value;
  napi_create_double(env, x, &value);
  return value;
}
/// A Float64Array of its own.
napi_value doubles(napi_env env, const std::vector<double>& values) {
  void* data = nullptr;
  napi_value buffer, array;
  const size_t bytes = values.size() * sizeof(double);
  if (napi_create_arraybuffer(env, bytes, &data, &buffer) != napi_ok) return undefined(env);
  if (bytes > 0) std::memcpy(data, values.data(), bytes);
  napi_create_typedarray(env, napi_float64_array, values.size(), buffer, 0, &array);
  return array;
}
napi_value fail(napi_env env, const char* code, const std::string& message) {
  napi_throw_error(env, code, message.c_str());
  return nullptr;
}

/// What a job keeps alive until its completion was delivered.
struct Pending {
  napi_ref calls;     // the list, and through it every typed array
  napi_ref callback;
};

/// One device. Lives on the JavaScript thread; the queue's thread sees only jobs and the thread-safe function.
class Device {
 public:
  Device(napi_env env, const Kernels& kernels, int threads) : env_(env) {
    napi_value name = string(env, "troupe.device");
    napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, deliver, &completions_);
    napi_unref_threadsafe_function(env, completions_);
    const napi_threadsafe_function completions = completions_;
    queue_ = std::make_unique<Queue>(kernels, threads, [completions](std::unique_ptr<Job> job) {
      napi_call_threadsafe_function(completions, job.release(), napi_tsfn_blocking);
    });
    napi_add_env_cleanup_hook(env, stop_device, this);
  }
  ~Device() {
    if (hooked_) napi_remove_env_cleanup_hook(env_, stop_device, this);
    stop();
  }

  bool running() const { return queue_ != nullptr; }
  Queue& queue() { return *queue_; }

  void submit(napi_value self, napi_value calls, bool timed, napi_value callback) {
    auto pending = std::make_unique<Pending>();
    napi_create_reference(env_, calls, 1, &pending->calls);
    napi_create_reference(env_, callback, 1, &pending->callback);
    auto job = parse(calls);
    job->tag = pending.release();
    job->timed = timed;
    if (outstanding_++ == 0) {
      // Keeps the process and this object alive while work is under way.
      napi_ref_threadsafe_function(env_, completions_);
      napi_create_reference(env_, self, 1, &self_);
    }
    queue_->submit(std::move(job));
  }

  std::unique_ptr<Job> parse(napi_value calls) {
    auto job = std::make_unique<Job>();
    try {
      bool is_array = false;
      uint32_t length = 0;
      napi_is_array(env_, calls, &is_array);
      if (!is_array) throw ShapeError("the argument is not an array, expected a list of kernel calls");
      napi_get_array_length(env_, calls, &length);
      job->list.calls.reserve(length);
      for (uint32_t i = 0; i < length; i++) {
        napi_handle_scope scope;
        napi_open_handle_scope(env_, &scope);
        napi_value call;
        napi_get_element(env_, calls, i, &call);
        try {
          parse_call(env_, call, i, job->list);
        } catch (...) {
          napi_close_handle_scope(env_, scope);
          throw;
        }
        napi_close_handle_scope(env_, scope);
      }
      invariant(job->list.calls.size() == length, "a list has a parsed call for each call", static_cast<int64_t>(job->list.calls.size()));
    } catch (const ShapeError& error) {
      job->outcome.code = "TROUPE_KERNEL_SHAPE";
      job->outcome.message = error.what();
    } catch (const InvariantError& error) {
      job->outcome.code = "TROUPE_INVARIANT";
      job->outcome.message = error.what();
    }
    return job;
  }

  /// The queue must be idle, or the jobs that are left are dropped without completion.
  void stop() {
    if (!queue_) return;
    queue_.reset();
    napi_release_threadsafe_function(completions_, napi_tsfn_abort);
  }

 private:
  static void stop_device(void* data) {
    static_cast<Device*>(data)->hooked_ = false;
    static_cast<Device*>(data)->stop();
  }

  /// On the JavaScript thread. `env` is null while the environment is torn down.
  static void deliver(napi_env env, napi_value, void* context, void* data) {
    std::unique_ptr<Job> job(static_cast<Job*>(data));
    std::unique_ptr<Pending> pending(static_cast<Pending*>(job->tag));
    if (env == nullptr) return;
    static_cast<Device*>(context)->complete(*job, *pending);
  }

  void complete(const Job& job, const Pending& pending) {
    napi_value callback, result;
    napi_get_reference_value(env_, pending.callback, &callback);
    napi_delete_reference(env_, pending.callback);
    napi_delete_reference(env_, pending.calls);
    if (--outstanding_ == 0) {
      napi_unref_threadsafe_function(env_, completions_);
      napi_delete_reference(env_, self_);
    }
    const napi_value arguments[] = {string(env_, job.outcome.code), string(env_, job.outcome.message), number(env_, job.outcome.kernel_ms),
                                    job.timed ? doubles(env_, job.times) : undefined(env_)};
    // A throwing callback is the caller's uncaught exception; Node-API reports it when this returns.
    napi_call_function(env_, undefined(env_), callback, 4, arguments, &result);
  }

  napi_env env_;
  napi_threadsafe_function completions_;
  std::unique_ptr<Queue> queue_;
  int64_t outstanding_ = 0;
  napi_ref self_ = nullptr;
  bool hooked_ = true;
};

Device* device_of(napi_env env, napi_callback_info info, size_t count, napi_value* arguments, napi_value* self) {
  void* data = nullptr;
  size_t found = count;
  napi_get_cb_info(env, info, &found, arguments, self, nullptr);
  if (napi_unwrap(env, *self, &data) != napi_ok || !static_cast<Device*>(data)->running()) {
    fail(env, "TROUPE_KERNEL_FAILED", "the device is closed");
    return nullptr;
  }
  return static_cast<Device*>(data);
}

/// new NativeQueue(threads, isa): isa `auto`, `avx512bf16`, `avx512`, `avx2`, `neon` or `portable`.
napi_value construct(napi_env env, napi_callback_info info) {
  napi_value arguments[2], self;
  size_t count = 2, length = 0;
  int32_t threads = 0;
  char isa[16] = "";
  napi_get_cb_info(env, info, &count, arguments, &self, nullptr);
  napi_get_value_int32(env, arguments[0], &threads);
  napi_get_value_string_utf8(env, arguments[1], isa, sizeof isa, &length);
  if (threads < 1 || threads > 1024)
    return fail(env, "TROUPE_KERNEL_SHAPE", "threads is " + std::to_string(threads) + ", expected 1 to 1024");
  const Kernels* kernels = kernels_named(isa);
  if (kernels == nullptr)
    return fail(env, "TROUPE_KERNEL_SHAPE", std::string("isa is '") + isa + "', which this CPU or build does not have; use 'auto'");
  Device* device = nullptr;
  try {
    device = new Device(env, *kernels, threads);
  } catch (const std::exception& error) {
    return fail(env, "TROUPE_KERNEL_FAILED", std::string("no threads: ") + error.what());
  }
  napi_wrap(env, self, device, [](napi_env, void* data, void*) { delete static_cast<Device*>(data); }, nullptr, nullptr);
  napi_set_named_property(env, self, "isa", string(env, kernels->isa));
  return self;
}

/// submit(calls, timed, (code, message, kernelMs, times?) => void): `times` as in QUEUE-3
napi_value submit(napi_env env, napi_callback_info info) {
  napi_value arguments[3], self;
  bool timed = false;
  Device* device = device_of(env, info, 3, arguments, &self);
  if (device == nullptr) return nullptr;
  napi_get_value_bool(env, arguments[1], &timed);
  device->submit(self, arguments[0], timed, arguments[2]);
  return undefined(env);
}

/// run(calls) → [code, message, kernelMs]
napi_value run(napi_env env, napi_callback_info info) {
  napi_value arguments[1], self, result;
  Device* device = device_of(env, info, 1, arguments, &self);
  if (device == nullptr) return nullptr;
  const auto job = device->parse(arguments[0]);
  device->queue().run_now(*job);
  napi_create_array_with_length(env, 3, &result);
  napi_set_element(env, result, 0, string(env, job->outcome.code));
  napi_set_element(env, result, 1, string(env, job->outcome.message));
  napi_set_element(env, result, 2, number(env, job->outcome.kernel_ms));
  return result;
}

/// stop(): joins the threads. The wrapper calls it when nothing is outstanding.
napi_value stop(napi_env env, napi_callback_info info) {
  napi_value self;
  Device* device = device_of(env, info, 0, nullptr, &self);
  if (device == nullptr) return nullptr;
  device->stop();
  return undefined(env);
}

/// release(buffer): gives the buffer's memory back now instead of at the next collection; the buffer has length 0 afterwards.
napi_value release(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value buffer;
  bool is_buffer = false;
  if (napi_get_cb_info(env, info, &count, &buffer, nullptr, nullptr) == napi_ok && count == 1 &&
      napi_is_arraybuffer(env, buffer, &is_buffer) == napi_ok && is_buffer) {
    // A buffer that cannot be detached is left to the garbage collector.
    napi_detach_arraybuffer(env, buffer);
  }
  return nullptr;
}

#ifdef __GLIBC__
/// freeAtOnce(bytes): memory of so many bytes and more, which malloc gives, goes back to the system as soon as it is freed.
napi_value free_at_once(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  int64_t bytes = 0;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  if (napi_get_value_int64(env, argument, &bytes) != napi_ok || bytes < 1 || bytes > (1 << 25))
    return fail(env, "TROUPE_KERNEL_SHAPE", "freeAtOnce takes bytes, 32 MiB at most");
  // Said once, the threshold no longer grows to the largest memory that was ever freed.
  mallopt(M_MMAP_THRESHOLD, static_cast<int>(bytes));
  return undefined(env);
}
#endif

/// crc32(bytes) → number
napi_value crc32_of(napi_env env, napi_callback_info info) {
  size_t count = 1, length = 0;
  napi_value argument, result;
  napi_typedarray_type type;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  if (napi_get_typedarray_info(env, argument, &type, &length, &data, nullptr, nullptr) != napi_ok || type != napi_uint8_array)
    return fail(env, "TROUPE_KERNEL_SHAPE", "crc32 takes a Uint8Array");
  napi_create_uint32(env, crc32(static_cast<const uint8_t*>(data), length), &result);
  return result;
}

/// allocate(bytes) → zeroed ArrayBuffer over aligned memory. V8 counts an external buffer's bytes itself.
napi_value allocate(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  size_t count = 1;
  double wanted = 0;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  napi_get_value_double(env, argument, &wanted);
  const size_t bytes = static_cast<size_t>(wanted);
  void* data = nullptr;
  if (bytes == 0) {
    napi_create_arraybuffer(env, 0, &data, &result);
    return result;
  }
  try {
    data = allocate_aligned(bytes);
  } catch (const std::bad_alloc&) {
    return fail(env, "TROUPE_KERNEL_FAILED", "no memory for " + std::to_string(bytes) + " bytes");
  }
  const auto release = [](napi_env, void* memory, void* hint) { free_aligned(memory, reinterpret_cast<size_t>(hint)); };
  if (napi_create_external_arraybuffer(env, data, bytes, release, reinterpret_cast<void*>(bytes), &result) == napi_ok) return result;
  // Runtimes with a memory cage refuse external memory; take memory inside the cage then.
  free_aligned(data, bytes);
  if (napi_create_arraybuffer(env, bytes, &data, &result) != napi_ok)
    return fail(env, "TROUPE_KERNEL_FAILED", "no memory for " + std::to_string(bytes) + " bytes");
  std::memset(data, 0, bytes);
  return result;
}

/// body(thread) on all threads of the pool at once, seconds.
template <class Body>
double timed(Pool& pool, const Body& body) {
  const auto begin = std::chrono::steady_clock::now();
  pool.parallel(pool.threads(), [&](int64_t item, int) { body(item); });
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}
/// Shortest of seven timings: other work on the machine can only lengthen one.
template <class Body>
double least_of_seven(Pool& pool, const Body& body) {
  double least = timed(pool, body);
  for (int i = 1; i < 7; i++) least = std::min(least, timed(pool, body));
  return least;
}

int32_t thread_argument(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  int32_t threads = 0;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  napi_get_value_int32(env, argument, &threads);
  return threads;
}

/// measurePeak(threads, bf16?) → floating-point operations per second of all threads together, FMAs on registers only.
napi_value measure_peak(napi_env env, napi_callback_info info) {
  const int32_t threads = thread_argument(env, info);
  napi_value arguments[2];
  size_t count = 2;
  bool bf16 = false;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  napi_get_value_bool(env, arguments[1], &bf16);
  if (threads < 1 || threads > 1024)
    return fail(env, "TROUPE_KERNEL_SHAPE", "threads is " + std::to_string(threads) + ", expected 1 to 1024");
  const Kernels* kernels = kernels_named("auto");
  // Without units for bf16 its products are FMAs, two a pair.
  const auto loop = bf16 && kernels->pair_loop != nullptr ? kernels->pair_loop : kernels->fma_loop;
  Pool pool(threads);
  const auto run = [&](int64_t iterations) { return [&loop, iterations](int64_t) { loop(iterations); }; };
  // A first guess, then timings that are long against the dealing of items: about 5 ms each.
  int64_t iterations = 1000;
  double seconds = 0;
  while ((seconds = timed(pool, run(iterations))) < 0.002) iterations *= 2;
  iterations = static_cast<int64_t>(static_cast<double>(iterations) * 0.005 / seconds) + 1;
  const double operations = loop(1) * static_cast<double>(iterations) * threads;
  return number(env, operations / least_of_seven(pool, run(iterations)));
}

/// measureBandwidth(threads) → bytes per second, read and written, of copies between arrays of 64 MiB.
napi_value measure_bandwidth(napi_env env, napi_callback_info info) {
  const int32_t threads = thread_argument(env, info);
  if (threads < 1 || threads > 256)
    return fail(env, "TROUPE_KERNEL_SHAPE", "threads is " + std::to_string(threads) + ", expected 1 to 256");
  constexpr size_t bytes = size_t{64} << 20;
  Pool pool(threads);
  std::vector<char*> blocks;
  try {
    for (int32_t i = 0; i < 2 * threads; i++) blocks.push_back(static_cast<char*>(allocate_aligned(bytes)));
  } catch (const std::bad_alloc&) {
    for (char* block : blocks) free_aligned(block, bytes);
    return fail(env, "TROUPE_KERNEL_FAILED", "no memory to measure bandwidth");
  }
  for (char* block : blocks) std::memset(block, 1, bytes);
  const double seconds = least_of_seven(
      pool, [&](int64_t i) { std::memcpy(blocks[2 * static_cast<size_t>(i)], blocks[2 * static_cast<size_t>(i) + 1], bytes); });
  for (char* block : blocks) free_aligned(block, bytes);
  return number(env, 2.0 * static_cast<double>(bytes) * threads / seconds);
}

/// The number that `addon.ts` expects; it refuses any other.
constexpr double CONTRACT = 5;

napi_value initialise(napi_env env, napi_value exports) {
  napi_set_named_property(env, exports, "contract", number(env, CONTRACT));
  const napi_property_descriptor methods[] = {
      {"submit", nullptr, submit, nullptr, nullptr, nullptr, napi_default_method, nullptr},
      {"run", nullptr, run, nullptr, nullptr, nullptr, napi_default_method, nullptr},
      {"stop", nullptr, stop, nullptr, nullptr, nullptr, napi_default_method, nullptr},
  };
  napi_value queue;
  napi_define_class(env, "NativeQueue", NAPI_AUTO_LENGTH, construct, nullptr, 3, methods, &queue);
  napi_set_named_property(env, exports, "NativeQueue", queue);
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {{"allocate", allocate},
                   {"release", release},
                   {"measurePeak", measure_peak},
                   {"measureBandwidth", measure_bandwidth}};
  const auto add = [&](const char* name, napi_callback callback) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
    napi_set_named_property(env, exports, name, function);
  };
  for (const auto& f : functions) add(f.name, f.function);
  if (has_crc32()) add("crc32", crc32_of);
#ifdef __GLIBC__
  add("freeAtOnce", free_at_once);
#endif
  return exports;
}

}  // namespace
}  // namespace troupe

NAPI_MODULE_INIT() { return troupe::initialise(env, exports); }
