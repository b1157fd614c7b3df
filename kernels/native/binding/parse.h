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

inline void require(const Reader& r, bool ok, const char* name, int64_t found, const std::string& expected) {
  if (!ok) r.fail(name, std::to_string(found), expected);
}

}  // namespace parsers
}  // namespace troupe
