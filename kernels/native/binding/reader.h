// Reads the arguments of one kernel call from its JavaScript object. Every failure is a ShapeError that names operation,
// argument, what was found and what was expected.
#pragma once
#include <node_api.h>

#include <string>

#include "calls.h"

namespace troupe {

class Reader {
 public:
  Reader(napi_env env, napi_value object, std::string where) : env_(env), object_(object), where_(std::move(where)) {}

  napi_env env() const { return env_; }
  const std::string& where() const { return where_; }
  Reader nested(const std::string& name, napi_value object) const { return Reader(env_, object, where_ + " " + name); }

  bool has(const char* name) const;
  napi_value get(const char* name) const;  // undefined when absent
  std::string text(const char* name) const;
  double number(const char* name) const;
  double number_or(const char* name, double absent) const { return has(name) ? number(name) : absent; }
  /// An integer of at least `least`, below 2^31 (sizes) so that products of two fit 64 bits.
  int64_t size(const char* name, int64_t least = 0) const;
  int64_t size_or(const char* name, int64_t absent) const { return has(name) ? size(name) : absent; }
  bool flag(const char* name) const;
  bool flag_or(const char* name, bool absent) const { return has(name) ? flag(name) : absent; }

  template <class T>
  struct Array {
    T* data;
    int64_t length;
  };
  /// At least `least` elements.
  Array<float> floats(const char* name, int64_t least) const {
    return {static_cast<float*>(array(name, napi_float32_array, "Float32Array", least)), length_};
  }
  /// Element `i` of an array of arrays.
  Array<float> floats_at(const char* name, uint32_t i, int64_t least) const;
  Array<int32_t> ints(const char* name, int64_t least) const {
    return {static_cast<int32_t*>(array(name, napi_int32_array, "Int32Array", least)), length_};
  }
  Array<int64_t> int64s(const char* name, int64_t least) const {
    return {static_cast<int64_t*>(array(name, napi_bigint64_array, "BigInt64Array", least)), length_};
  }
  Array<uint8_t> bytes(const char* name, int64_t least) const {
    return {static_cast<uint8_t*>(array(name, napi_uint8_array, "Uint8Array", least)), length_};
  }
  Array<uint16_t> halves(const char* name, int64_t least) const {
    return {static_cast<uint16_t*>(array(name, napi_uint16_array, "Uint16Array", least)), length_};
  }
  /// bf16 storage?
  bool is_halves(const char* name) const;
  Array<float> floats_or_null(const char* name, int64_t least) const { return has(name) ? floats(name, least) : Array<float>{nullptr, 0}; }
  Array<int32_t> ints_or_null(const char* name, int64_t least) const { return has(name) ? ints(name, least) : Array<int32_t>{nullptr, 0}; }
  Array<int64_t> int64s_or_null(const char* name, int64_t least) const {
    return has(name) ? int64s(name, least) : Array<int64_t>{nullptr, 0};
  }
  Array<uint8_t> bytes_or_null(const char* name, int64_t least) const {
    return has(name) ? bytes(name, least) : Array<uint8_t>{nullptr, 0};
  }
  /// Two 32-bit words.
  void key(const char* name, uint32_t (&words)[2]) const;
  /// Exactly `length` elements.
  void same_length(const char* name, int64_t found, const char* as, int64_t expected) const;

  /// `rows` rows of `width` floats, or bf16 where the call allows it.
  MutRows rows(const char* name, int64_t rows, int64_t width, bool may_be_halves = false) const;
  ConstRows const_rows(const char* name, int64_t count, int64_t width) const {
    const MutRows r = rows(name, count, width);
    return {r.data, r.stride};
  }
  /// Operand of a product: bf16 storage only with precision bf16.
  ConstRows operand_rows(const char* name, int64_t count, int64_t width, Precision precision) const {
    const MutRows r = rows(name, count, width, precision == Precision::bf16);
    return {r.data, r.stride, r.halves};
  }
  /// Weights of a product: bf16 storage only with precision bf16.
  Weights weights(const char* name, int64_t least, Precision precision) const {
    if (precision == Precision::bf16 && is_halves(name)) return halves(name, least).data;
    return floats(name, least).data;
  }
  /// Of a call with products; absent: f32.
  Precision precision() const;
  ExactSum sum(const char* name, int64_t length) const;
  /// An exact sum or a stored gradient of at least `length` elements (-1: any).
  GradientTarget target(const char* name, int64_t length) const;
  GradientTarget target_or_none(const char* name, int64_t length) const { return has(name) ? target(name, length) : GradientTarget{}; }
  /// Values of an exact sum or a stored gradient.
  ConstGradient gradient(const char* name) const;
  Bounds bounds(const char* name) const;

  [[noreturn]] void fail(const char* name, const std::string& found, const std::string& expected) const;

 private:
  void* array(const char* name, napi_typedarray_type type, const char* type_name, int64_t least) const {
    return array_of(get(name), name, type, type_name, least);
  }
  void* array_of(napi_value value, const char* name, napi_typedarray_type type, const char* type_name, int64_t least) const;

  napi_env env_;
  napi_value object_;
  std::string where_;
  mutable int64_t length_ = 0;
};

/// Parses call `index` of a list into `list`.
void parse_call(napi_env env, napi_value call, int64_t index, CallList& list);

}  // namespace troupe
