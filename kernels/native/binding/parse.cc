// Finds the operation of a call by its name; parse-dense.cc and parse-moe.cc read the arguments.
#include "parse.h"

namespace troupe {
namespace {

/// Operation names: those of TROUPE_ROW_OPS and TROUPE_PRODUCT_OPS with dots for underscores.
void parse(const std::string& op, const Reader& r, CallList& list) {
#define X(function, Args)                                    \
  {                                                          \
    static const std::string name = [] {                     \
      std::string text = #function;                          \
      for (char& c : text) if (c == '_') c = '.';            \
      return text;                                           \
    }();                                                     \
    if (op == name) {                                        \
      list.calls.emplace_back(parsers::function(r, list));   \
      return;                                                \
    }                                                        \
  }
  TROUPE_ROW_OPS(X)
  TROUPE_PRODUCT_OPS(X)
#undef X
  r.fail("op", "'" + op + "'", "a kernel of this set");
}

}  // namespace

void parse_call(napi_env env, napi_value call, int64_t index, CallList& list) {
  napi_valuetype type;
  if (napi_typeof(env, call, &type) != napi_ok || type != napi_object) {
    throw ShapeError("call " + std::to_string(index) + " is not an object, expected a kernel call");
  }
  const std::string op = Reader(env, call, "call " + std::to_string(index)).text("op");
  parse(op, Reader(env, call, op + " (call " + std::to_string(index) + ")"), list);
}

}  // namespace troupe
