// One function per operation: sizes first, then every array against them. The contract is ground/kernel-set/src/kernel-calls.ts.
#pragma once
#include "reader.h"

namespace troupe {
namespace parsers {

#define X(function, Args) Args function(const Reader&, CallList&);
TROUPE_ROW_OPS(X)
TROUPE_PRODUCT_OPS(X)
#undef X

template <class E>
struct Name {
  const char* name;
  E value;
};
template <class E, size_t N>
E one_of(const Reader& r, const char* name, const Name<E> (&names)[N]) {
  const std::string found = r.text(name);
  std::string all;
  for (const auto& n : names) {
    if (found == n.name) return n.value;
    all += all.empty() ? n.name : std::string(", ") + n.name;
  }
  r.fail(name, "'" + found + "'", "one of " + all);
}

inline RouterScores router_scores_or_softmax(const Reader& r) {
  const Name<RouterScores> names[] = {{"softmax", RouterScores::softmax}, {"sigmoid", RouterScores::sigmoid}};
  return r.has("scores") ? one_of(r, "scores", names) : RouterScores::softmax;
}

inline void require(const Reader& r, bool ok, const char* name, int64_t found, const std::string& expected) {
  if (!ok) r.fail(name, std::to_string(found), expected);
}

/// Of an array argument.
uint32_t length_of(const Reader& r, const char* name);
/// Element i of an array of objects.
Reader element(const Reader& r, const char* name, uint32_t i);
/// Length of `parts`, 1 to MOST_PARTS.
int64_t parts_of(const Reader& r);

}  // namespace parsers
}  // namespace troupe
