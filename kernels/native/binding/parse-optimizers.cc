// Arguments of the updates of parameters beside AdamW.
#include "parse.h"

namespace troupe {
namespace parsers {
namespace {

/// What all updates have in common, of `length` elements; -1: as many as there are weights.
template <class Args>
void update(const Reader& r, Args& args, int64_t length = -1) {
  const auto weights = r.floats("weights", 0);
  if (length >= 0) r.same_length("weights", weights.length, "rows · columns", length);
  const auto out = r.floats("out", 0);
  r.same_length("out", out.length, "weights", weights.length);
  args.gradient = r.gradient("gradient");
  r.same_length("gradient", args.gradient.length, "weights", weights.length);
  args.weights = weights.data;
  args.out = out.data;
  args.grad_scale = r.number("gradScale");
  args.learning_rate = r.number("learningRate");
  args.weight_decay = r.number("weightDecay");
}

/// An array beside the weights, of exactly so many elements.
float* beside(const Reader& r, const char* name, const char* as, int64_t length) {
  const auto array = r.floats(name, 0);
  r.same_length(name, array.length, as, length);
  return array.data;
}

}  // namespace

SgdArgs sgd(const Reader& r, CallList&) {
  SgdArgs args = {};
  update(r, args);
  args.v = beside(r, "v", "weights", args.gradient.length);
  args.momentum = r.number("momentum");
  args.nesterov = r.flag("nesterov");
  return args;
}

AdafactorArgs adafactor(const Reader& r, CallList&) {
  AdafactorArgs args = {};
  args.rows = r.size("rows", 1);
  args.columns = r.size("columns", 1);
  const int64_t length = args.rows * args.columns;
  update(r, args, length);
  if (r.has("column")) {
    args.column = beside(r, "column", "columns", args.columns);
    args.row = beside(r, "row", "rows", args.rows);
  } else {
    args.row = beside(r, "row", "weights", length);
  }
  args.work = r.floats("work", length).data;
  args.beta2 = r.number("beta2");
  args.relative = r.flag("relative");
  return args;
}

MuonArgs muon(const Reader& r, CallList&) {
  MuonArgs args = {};
  args.rows = r.size("rows", 1);
  args.columns = r.size("columns", 1);
  const int64_t length = args.rows * args.columns, small = args.rows < args.columns ? args.rows : args.columns;
  update(r, args, length);
  args.m = beside(r, "m", "weights", length);
  args.work = r.floats("work", 2 * length + 2 * small * small).data;
  args.momentum = r.number("momentum");
  args.nesterov = r.flag("nesterov");
  args.scale = r.number("scale");
  return args;
}

}  // namespace parsers
}  // namespace troupe
