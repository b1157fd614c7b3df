// Assertions: what holds if this code is right. They stay on in production.
#pragma once
#include <cstdint>
#include <stdexcept>

namespace troupe {

/// A bug in this code, TROUPE_INVARIANT: on the thread that called `run` it fails the list, in an item of a loop it ends the process.
struct InvariantError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Out of line, so that files compiled per instruction set emit no string code (ISA-1).
[[noreturn]] void raise_invariant_error(const char* what, int64_t found);

/// `what` must hold: a sentence. `found`: the value to look at first when it does not.
static inline void invariant(bool condition, const char* what, int64_t found = 0) {
  if (__builtin_expect(!condition, 0)) raise_invariant_error(what, found);
}

}  // namespace troupe
