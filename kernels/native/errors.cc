// Messages of range errors and of broken invariants; out of line so that files compiled per instruction set emit no string code (ISA-1).
#include "invariant.h"
#include "ops.h"

namespace troupe {

void raise_slot_error(int64_t source, int64_t row, int64_t slot, int64_t tokens) {
  throw RangeError("experts: source " + std::to_string(source) + " slots_N[" + std::to_string(row) + "] is " + std::to_string(slot) +
                   ", expected 0 to " + std::to_string(tokens - 1));
}

void raise_count_error(int64_t source, int64_t rows, int64_t capacity) {
  const std::string whose = source < 0 ? "saved" : "source " + std::to_string(source);
  throw RangeError("experts: counts_EG sum to " + std::to_string(rows) + " rows (or have one below 0), " + whose + " has room for " +
                   std::to_string(capacity));
}

void raise_target_error(int64_t token, int64_t target, int64_t vocab) {
  throw RangeError("head.loss: targets_T[" + std::to_string(token) + "] is " + std::to_string(target) + ", expected -1 to " +
                   std::to_string(vocab - 1));
}

void raise_index_error(const char* what, int64_t index, int64_t position, int64_t lowest, int64_t highest) {
  throw RangeError(std::string(what) + " " + std::to_string(index) + " at position " + std::to_string(position) + " is outside " +
                   std::to_string(lowest) + " … " + std::to_string(highest));
}

void raise_position_error() { throw RangeError("a position of position_TK lies in none of the parts"); }

void raise_valid_error(int64_t position, int64_t found, int64_t most) {
  throw RangeError("choice.thresholds: position " + std::to_string(position) + " has " + std::to_string(found) +
                   " valid tokens, expected 0 to " + std::to_string(most));
}

void raise_candidates_error(int64_t position, int64_t expert, int64_t taken) {
  throw RangeError("choice.thresholds: position " + std::to_string(position) + " has fewer candidates of expert " +
                   std::to_string(expert) + " than the " + std::to_string(taken) + " that it takes");
}

void raise_invariant_error(const char* what, int64_t found) {
  throw InvariantError(std::string("native: ") + what + " (found " + std::to_string(found) + ")");
}

}  // namespace troupe
