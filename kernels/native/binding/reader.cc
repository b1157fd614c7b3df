#include "reader.h"

#include <cmath>

#include "../invariant.h"

namespace troupe {
namespace {

const char* type_name(napi_env env, napi_value value) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return "unreadable";
  switch (type) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return "a boolean";
    case napi_number: return "a number";
    case napi_string: return "a string";
    case napi_object: return "an object";
    case napi_bigint: return "a bigint";
    default: return "of another type";
  }
}

/// Of the types that a call may have.
size_t element_bytes(napi_typedarray_type type) {
  switch (type) {
    case napi_uint8_array: return 1;
    case napi_uint16_array: return 2;
    case napi_bigint64_array: return 8;
    default: return 4;
  }
}

}  // namespace

void Reader::fail(const char* name, const std::string& found, const std::string& expected) const {
  throw ShapeError(where_ + ": " + name + " is " + found + ", expected " + expected);
}

napi_value Reader::get(const char* name) const {
  napi_value value;
  if (napi_get_named_property(env_, object_, name, &value) != napi_ok) fail(name, "unreadable", "a property");
  return value;
}

bool Reader::has(const char* name) const {
  napi_valuetype type;
  return napi_typeof(env_, get(name), &type) == napi_ok && type != napi_undefined;
}

std::string Reader::text(const char* name) const {
  char buffer[64];
  size_t length = 0;
  const napi_value value = get(name);
  if (napi_get_value_string_utf8(env_, value, buffer, sizeof buffer, &length) != napi_ok) fail(name, type_name(env_, value), "a string");
  return std::string(buffer, length);
}

double Reader::number(const char* name) const {
  double number;
  const napi_value value = get(name);
  if (napi_get_value_double(env_, value, &number) != napi_ok) fail(name, type_name(env_, value), "a number");
  return number;
}

int64_t Reader::size(const char* name, int64_t least) const {
  const double found = number(name);
  if (!(found >= static_cast<double>(least) && found < 0x1p31) || found != std::floor(found)) {
    fail(name, std::to_string(found), "an integer from " + std::to_string(least) + " to 2147483647");
  }
  return static_cast<int64_t>(found);
}

bool Reader::flag(const char* name) const {
  bool flag;
  const napi_value value = get(name);
  if (napi_get_value_bool(env_, value, &flag) != napi_ok) fail(name, type_name(env_, value), "a boolean");
  return flag;
}

Reader::Array<float> Reader::floats_at(const char* name, uint32_t i, int64_t least) const {
  napi_value value;
  if (napi_get_element(env_, get(name), i, &value) != napi_ok) fail(name, "unreadable", "an array of Float32Array");
  return {static_cast<float*>(array_of(value, name, napi_float32_array, "Float32Array", least)), length_};
}

void* Reader::array_of(napi_value value, const char* name, napi_typedarray_type type, const char* expected_type, int64_t least) const {
  bool is_array = false;
  napi_is_typedarray(env_, value, &is_array);
  if (!is_array) fail(name, type_name(env_, value), std::string("a ") + expected_type);
  napi_typedarray_type found;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env_, value, &found, &length, &data, nullptr, nullptr) != napi_ok || found != type) {
    fail(name, "a typed array of another type", std::string("a ") + expected_type);
  }
  length_ = static_cast<int64_t>(length);
  invariant(data != nullptr || length == 0, "a typed array that has elements has an address", length_);
  invariant(reinterpret_cast<uintptr_t>(data) % element_bytes(type) == 0, "a typed array is aligned to its elements",
            static_cast<int64_t>(reinterpret_cast<uintptr_t>(data) % 64));
  if (length_ < least) fail(name, std::to_string(length_) + " elements", "at least " + std::to_string(least));
  return data;
}

void Reader::key(const char* name, uint32_t (&words)[2]) const {
  napi_value pair = get(name), word;
  for (uint32_t i = 0; i < 2; i++) {
    double value;
    if (napi_get_element(env_, pair, i, &word) != napi_ok || napi_get_value_double(env_, word, &value) != napi_ok)
      fail(name, "not two numbers", "[word, word]");
    words[i] = static_cast<uint32_t>(static_cast<int64_t>(value));
  }
}

void Reader::same_length(const char* name, int64_t found, const char* as, int64_t expected) const {
  if (found != expected) fail(name, std::to_string(found) + " elements", std::to_string(expected) + " as " + as);
}

bool Reader::is_halves(const char* name) const {
  const napi_value value = get(name);
  bool is_array = false;
  napi_typedarray_type found;
  return napi_is_typedarray(env_, value, &is_array) == napi_ok && is_array &&
         napi_get_typedarray_info(env_, value, &found, nullptr, nullptr, nullptr, nullptr) == napi_ok && found == napi_uint16_array;
}

Precision Reader::precision() const {
  if (!has("precision")) return Precision::f32;
  const std::string found = text("precision");
  if (found == "bf16") return Precision::bf16;
  if (found != "f32") fail("precision", "'" + found + "'", "one of f32, bf16");
  return Precision::f32;
}

MutRows Reader::rows(const char* name, int64_t rows, int64_t width, bool may_be_halves) const {
  const napi_value value = get(name);
  napi_valuetype type;
  if (napi_typeof(env_, value, &type) != napi_ok || type != napi_object)
    fail(name, type_name(env_, value), "an object { data, offset?, stride? }");
  const Reader inner = nested(name, value);
  const bool halves = may_be_halves && inner.is_halves("data");
  const Array<float> data = halves ? Array<float>{nullptr, 0} : inner.floats("data", 0);
  const Array<uint16_t> half_data = halves ? inner.halves("data", 0) : Array<uint16_t>{nullptr, 0};
  const int64_t length = data.length + half_data.length;
  const int64_t offset = inner.size_or("offset", 0), stride = inner.size_or("stride", width);
  if (rows > 1 && stride < width) inner.fail("stride", std::to_string(stride), "at least the row length " + std::to_string(width));
  const int64_t end = rows == 0 ? 0 : offset + (rows - 1) * stride + width;
  if (end > length) {
    inner.fail("data", std::to_string(length) + " elements", "at least " + std::to_string(end) + " (" + std::to_string(rows) + " rows of " +
               std::to_string(width) + ", offset " + std::to_string(offset) + ", stride " + std::to_string(stride) + ")");
  }
  if (rows == 0) return {data.data, stride, half_data.data};
  if (halves) return {nullptr, stride, half_data.data + offset};
  return {data.data + offset, stride};
}

ExactSum Reader::sum(const char* name, int64_t length) const {
  const napi_value value = get(name);
  napi_valuetype type;
  if (napi_typeof(env_, value, &type) != napi_ok || type != napi_object)
    fail(name, type_name(env_, value), "an object { values, overflow }");
  const Reader inner = nested(name, value);
  const Array<int64_t> values = inner.int64s("values", length < 0 ? 0 : length);
  return {values.data, length < 0 ? values.length : length, inner.ints("overflow", 1).data};
}

GradientTarget Reader::target(const char* name, int64_t length) const {
  const napi_value value = get(name);
  napi_valuetype type;
  if (napi_typeof(env_, value, &type) != napi_ok || type != napi_object) {
    fail(name, type_name(env_, value), "an object { values, overflow } or { gradient, overflow }");
  }
  const Reader inner = nested(name, value);
  const double limit = inner.number_or("leafLimit", LEAF_LIMIT);
  if (!(limit >= 0x1p-26 && limit <= LEAF_LIMIT)) inner.fail("leafLimit", std::to_string(limit), "2^-26 to 64");
  const float leaf_limit = static_cast<float>(limit);
  if (!inner.has("gradient")) {
    const ExactSum sum = this->sum(name, length);
    return {sum.values, sum.length, sum.overflow, nullptr, inner.flag_or("begin", false), leaf_limit};
  }
  const Array<float> stored = inner.floats("gradient", length < 0 ? 0 : length);
  return {nullptr, length < 0 ? stored.length : length, inner.ints("overflow", 1).data, stored.data, false, leaf_limit};
}

ConstGradient Reader::gradient(const char* name) const {
  napi_typedarray_type type;
  bool is_array = false;
  const napi_value value = get(name);
  napi_is_typedarray(env_, value, &is_array);
  if (is_array && napi_get_typedarray_info(env_, value, &type, nullptr, nullptr, nullptr, nullptr) == napi_ok &&
      type == napi_bigint64_array) {
    const Array<int64_t> sum = int64s(name, 0);
    return {sum.data, nullptr, sum.length};
  }
  const Array<float> stored = floats(name, 0);
  return {nullptr, stored.data, stored.length};
}

Bounds Reader::bounds(const char* name) const {
  const Array<int32_t> starts = ints(name, 1);
  return {starts.data, starts.length - 1};
}

}  // namespace troupe
