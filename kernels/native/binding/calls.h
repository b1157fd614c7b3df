// A list of kernel calls as plain data: what the JavaScript thread hands to the queue.
#pragma once
#include <list>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "../ops.h"

namespace troupe {

using Call = std::variant<
#define X(name, Args) Args,
    TROUPE_ROW_OPS(X)
    TROUPE_PRODUCT_OPS(X)
#undef X
    std::monostate>;

/// The calls of one submission and what their pointers refer to besides the caller's arrays.
struct CallList {
  std::vector<Call> calls;
  std::list<std::vector<ExpertSource>> sources;
  std::list<std::vector<RowsPart>> parts;
  std::list<std::vector<ChoiceSource>> choice_sources;
  std::list<std::vector<const float*>> partials;
  std::list<std::vector<int32_t>> bucket_starts;
  std::list<std::vector<HeadPartSums>> head_parts;
};

/// TROUPE_KERNEL_SHAPE: an argument of the wrong type or size, found before anything runs.
struct ShapeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Checks what only the contents of arrays can tell (bounds of grains), then runs. Earlier calls of the list may have written
/// those contents, so this happens on the queue. Throws RangeError.
void run_call(const Kernels& kernels, const Call& call, Pool& pool);

}  // namespace troupe
