// Finds the operation of a call by its name; parse-dense.cc, parse-moe.cc and parse-choice.cc read the arguments.
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

namespace parsers {

uint32_t length_of(const Reader& r, const char* name) {
  bool is_array = false;
  uint32_t length = 0;
  const napi_value value = r.get(name);
  napi_is_array(r.env(), value, &is_array);
  if (!is_array) r.fail(name, "not an array", "an array");
  napi_get_array_length(r.env(), value, &length);
  return length;
}
Reader element(const Reader& r, const char* name, uint32_t i) {
  napi_value value;
  napi_valuetype type = napi_undefined;
  const std::string path = std::string(name) + "[" + std::to_string(i) + "]";
  if (napi_get_element(r.env(), r.get(name), i, &value) != napi_ok || napi_typeof(r.env(), value, &type) != napi_ok ||
      type != napi_object) {
    r.fail(path.c_str(), "no object", "an object");
  }
  return r.nested(path, value);
}

int64_t parts_of(const Reader& r) {
  const int64_t count = length_of(r, "parts");
  require(r, count >= 1 && count <= MOST_PARTS, "parts", count, "1 to " + std::to_string(MOST_PARTS) + " of them");
  return count;
}

}  // namespace parsers

void parse_call(napi_env env, napi_value call, int64_t index, CallList& list) {
  napi_valuetype type;
  if (napi_typeof(env, call, &type) != napi_ok || type != napi_object) {
    throw ShapeError("call " + std::to_string(index) + " is not an object, expected a kernel call");
  }
  const std::string op = Reader(env, call, "call " + std::to_string(index)).text("op");
  parse(op, Reader(env, call, op + " (call " + std::to_string(index) + ")"), list);
}

}  // namespace troupe
