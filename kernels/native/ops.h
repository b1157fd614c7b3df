// Every kernel call as a plain struct of pointers and sizes, and the table of functions that one instruction set provides.
// The binding has checked all shapes before a struct gets here, so bodies neither check nor allocate. Field names and
// meanings are those of ground/kernel-set/src/kernel-calls.ts, which is the contract.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

#include "bf16.h"

namespace troupe {

class Pool;

/// Thrown on the thread that called `run` (never inside a worker's item): TROUPE_KERNEL_RANGE.
struct RangeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void raise_slot_error(int64_t source, int64_t row, int64_t slot, int64_t tokens);
[[noreturn]] void raise_count_error(int64_t source, int64_t rows, int64_t capacity);
[[noreturn]] void raise_target_error(int64_t token, int64_t target, int64_t vocab);
[[noreturn]] void raise_index_error(const char* what, int64_t index, int64_t position, int64_t lowest, int64_t highest);
[[noreturn]] void raise_position_error();
[[noreturn]] void raise_valid_error(int64_t position, int64_t found, int64_t most);
[[noreturn]] void raise_candidates_error(int64_t position, int64_t expert, int64_t taken);

/// A matrix inside a larger buffer; `data` already stands at row 0. A stride counts elements. Where a call allows it, the rows are bf16
/// in `halves` instead, and `data` is null.
struct ConstRows {
  const float* data;
  int64_t stride;
  const uint16_t* halves = nullptr;
};
struct MutRows {
  float* data;
  int64_t stride;
  uint16_t* halves = nullptr;
};

/// A weight as it is stored: f32, or, for products in bf16, the rounded numbers in `halves` (then `data` is null).
struct Weights {
  const float* data = nullptr;
  const uint16_t* halves = nullptr;

  Weights() {}
  Weights(const float* floats) : data(floats) {}
  Weights(const uint16_t* rounded) : halves(rounded) {}
  Weights from(int64_t element) const { return halves ? Weights(halves + element) : Weights(data + element); }
};

/// Fixed-point gradient sums (quantum 2^-50); `overflow` may be set by several threads at once, see exact.h.
struct ExactSum {
  int64_t* values;
  int64_t length;
  int32_t* overflow;
};

/// A leaf of this size or more is out of range, unless the caller names a smaller limit. Below it, 128 leaves cannot overflow a sum.
constexpr float LEAF_LIMIT = 64.0f;

/// Where the gradient of a parameter goes (GradientTarget of the contract). `stored` not null: the sum lives inside the call and
/// its f32 values are written there. Else leaves are added to `values`, or replace them with `begin`.
/// A leaf that is NaN, or `leaf_limit` or more, only sets the flag.
struct GradientTarget {
  int64_t* values;
  int64_t length;  // 0: no gradient is wanted
  int32_t* overflow;
  float* stored;
  bool begin;
  float leaf_limit = LEAF_LIMIT;

  bool replaces() const { return stored != nullptr || begin; }
};

/// A gradient to read: one of the two is null.
struct ConstGradient {
  const int64_t* sum;
  const float* stored;
  int64_t length;
};

/// Row bounds of grains or groups: `count` of them, `starts` has count + 1 entries, first 0.
struct Bounds {
  const int32_t* starts;
  int64_t count;
};

enum class FillKind { constant, uniform, normal, truncated_normal };
enum class NormKind { rms, layer };
enum class Activation { swiglu, gelu, gelu_tanh, relu };
inline int64_t hidden_inputs(Activation a) { return a == Activation::swiglu ? 2 : 1; }

struct FillArgs {
  float* out;
  int64_t length;
  FillKind kind;
  double scale;
  uint32_t key[2];
  int64_t first_index;
  int64_t row_length = 0, row_stride = 0;  // a block of columns of a matrix; 0: elements follow one another
};
struct CopyArgs {
  const float* from;
  float* out;
  int64_t length;
};
/// Either storage on either side; the other pointer is null.
struct RoundBf16Args {
  const float* x;
  const uint16_t* x_halves;
  float* out;
  uint16_t* out_halves;
  int64_t length;
};
constexpr int64_t MOST_PARTS = 64;
struct PartialsAddArgs {
  const float* const* parts;
  int64_t num_parts;
  const float* base;  // or null
  float* out;
  int64_t length;
};
struct EmbedForwardArgs {
  const int32_t* ids;
  int64_t tokens;
  const float* table;
  int64_t vocab;  // rows of the table; ids outside are a RangeError, or of another part
  float* out;
  int64_t dim;
  int64_t first_id = -1;  // of a part of the vocabulary; -1: the table is the whole
};
struct EmbedBackwardArgs {
  const int32_t* ids;
  int64_t tokens;
  const float* d_out;
  int64_t vocab;
  int64_t dim;
  Bounds grains;
  GradientTarget table_sum;
  int64_t first_id = -1;
};
struct NormForwardArgs {
  NormKind kind;
  int64_t rows, groups, dim;
  double eps;
  ConstRows x;
  const float* weight;
  const float* bias;  // or null
  MutRows out;
  float* stats;  // [rows·groups] inverse deviations, then (layer) [rows·groups] means
  const float* squares = nullptr;  // [rows] of rows of `full_dim` elements, of which these are a part; or null
  int64_t full_dim = 0;
};
struct NormBackwardArgs {
  NormKind kind;
  int64_t rows, groups, dim;
  ConstRows x;
  const float* weight;
  const float* stats;
  ConstRows d_out;
  MutRows dx;
  bool accumulate;
  Bounds grains;
  GradientTarget weight_sum;
  GradientTarget bias_sum;  // length 0 when there is no bias
  const float* products = nullptr;  // [rows] of rows of `full_dim` elements, of which these are a part; or null
  int64_t full_dim = 0;
};
struct NormSquaresArgs {
  int64_t rows, dim;
  ConstRows x;
  float* out;
};
struct NormProductsArgs {
  int64_t rows, dim;
  ConstRows x;
  const float* weight;
  const float* stats;
  ConstRows d_out;
  float* out;
};
struct LinearForwardArgs {
  int64_t rows, in_dim, out_dim;
  ConstRows x;
  Weights weight;  // [out, in]
  MutRows out;
  bool accumulate;
  ConstRows residual;  // data null when absent
  Precision precision = Precision::f32;
};
struct LinearBackwardInputArgs {
  int64_t rows, in_dim, out_dim;
  ConstRows d_out;
  Weights weight;
  MutRows dx;
  bool accumulate;
  Precision precision = Precision::f32;
};
struct LinearBackwardWeightArgs {
  int64_t rows, in_dim, out_dim;
  ConstRows d_out;
  ConstRows x;
  Bounds grains;
  GradientTarget weight_sum;
  Precision precision = Precision::f32;
};
struct RopeArgs {
  int64_t rows, seq_len, heads, head_dim;
  MutRows x;
  const float* cos;
  const float* sin;
  bool inverse;
  int64_t first_position;
};
struct PositionsAddArgs {
  int64_t rows, seq_len, dim;
  float* out;
  const float* table;
  const int32_t* first_seen;  // or null: 0
  int64_t first_position;
};
/// Added to scores by distance (T5); table null: none.
struct RelativeBias {
  const float* table = nullptr;  // [buckets, heads]
  int64_t buckets = 0;
  bool bidirectional = false;
  const int32_t* starts = nullptr;  // least distance of each bucket of a direction, ascending
  int64_t num_starts = 0;
};
/// Which keys the rows see, and what forward and backward share besides.
struct AttentionArgs {
  int64_t batch, seq_len, heads, kv_heads, head_dim;
  float scale;
  ConstRows q, k, v;
  const int32_t* first_seen;  // or null: 0
  int64_t key_len;            // rows of k and v a sequence
  const int32_t* end_seen;    // one past the last key of each row, 0 to key_len; or null: causal, and key_len is seq_len
  RelativeBias bias = {};
};
struct AttentionForwardArgs : AttentionArgs {
  MutRows out;
  float* lse;  // [T, heads]
};
struct AttentionBackwardArgs : AttentionArgs {
  ConstRows out;
  const float* lse;
  ConstRows d_out;
  MutRows dq, dk, dv;
  GradientTarget bias_sum = {};  // length 0: not wanted
  Bounds grains = {};            // of whole sequences
};
enum class RouterScores { softmax, sigmoid };
struct GateForwardArgs {
  int64_t tokens, experts, top_k;
  bool renormalise;
  const float* logits;
  const uint8_t* valid;  // or null
  bool choices_given;
  float* probs;
  int32_t* choices;
  float* weights;
  RouterScores scores = RouterScores::softmax;
  float scale = 1.0f;
  int64_t expert_groups = 1, top_groups = 1;
  const float* bias = nullptr;  // or [E]
};
/// Words of Philox key `key` and counter (j/4, step, 0, first_sequence + sequence).
struct RoutingDraws {
  uint32_t key[2];
  int64_t step, first_sequence, seq_len;
};
struct JitterArgs {
  RoutingDraws draws;
  int64_t rows, dim;
  const float* x;
  float* out;
  double width;
};
struct GateSampleArgs {
  RoutingDraws draws;
  int64_t tokens, experts, top_k;
  const float* logits;
  const uint8_t* valid;  // or null
  int32_t* choices;
};
enum class DropPolicy { random, position, probability };
struct RouteSelectArgs {
  RoutingDraws draws;
  int64_t tokens, experts, top_k;
  DropPolicy policy;
  int64_t factor_millionths, min_capacity;
  const float* probs;
  const int32_t* choices;
  const uint8_t* valid;  // or null
  Bounds groups;
  int32_t* kept;
  int32_t* num_dropped;
};
struct GateWeighArgs {
  int64_t tokens, experts, top_k;
  bool renormalise;
  const float* probs;
  const int32_t* choices;
  const int32_t* divisor_choices;  // or null: `choices`
  float* weights;
  RouterScores scores = RouterScores::softmax;
  float scale = 1.0f;
};
struct BiasCountArgs {
  int64_t tokens, experts, top_k;
  const int32_t* choices;
  const uint8_t* valid;  // or null
  GradientTarget sum;    // never stored
};
struct BiasStepArgs {
  const float* bias;
  float* out;
  const int64_t* sum;
  int64_t length;
  float rate;
};
struct ThresholdCountArgs {
  int64_t experts;
  const int64_t* prob_sums;
  const int64_t* num_groups;
  GradientTarget sum;  // never stored
};
struct ThresholdStepArgs {
  const float* thresholds;
  float* out;
  const int64_t* sum;
  int64_t length;
  double fresh;
};
struct BalanceForwardArgs {
  int64_t tokens, experts, top_k;
  const float* logits;
  const float* probs;
  const int32_t* choices;
  const uint8_t* valid;
  Bounds groups;
  float* fractions;    // [B, E]
  int64_t* loss_sums;  // two wide sums (exact.h)
  int32_t* counts;     // [E]
  int64_t* prob_sums;  // [E] wide sums
  RouterScores scores = RouterScores::softmax;
};
struct GateBackwardArgs {
  int64_t tokens, experts, top_k;
  bool renormalise;
  const float* logits;
  const float* probs;
  const int32_t* choices;
  const float* weights;
  const float* d_weights;
  const uint8_t* valid;
  Bounds groups;
  const float* fractions;
  bool fractions_global;
  double aux_scale, z_scale;
  float* d_logits;
  RouterScores scores = RouterScores::softmax;
  float scale = 1.0f;
};
struct RoutePlanArgs {
  int64_t tokens, experts, top_k, ranks;
  const int32_t* rank_of;  // [E], 0 to ranks - 1
  const int32_t* choices;
  Bounds grains;
  int32_t* counts;         // [E, G], experts by rank, then by number
  int32_t* position;       // [T, K]
  int32_t* slots;          // capacity T·K
  int32_t* choice_of_row;  // capacity T·K
  int32_t* rank_tokens;    // [R, T]
  int32_t* num_tokens;     // [R]
  int32_t* num_rows;       // [R]
};
/// Sequences that a group of expert choice may have.
constexpr int64_t MOST_GROUP_SEQUENCES = 1 << 20;
/// Whole sequences, in parts of groups.
struct ChoiceParts {
  int64_t tokens, experts, seq_len, part_sequences, group_sequences, first_sequence;
  const float* probs;
  const uint8_t* valid;  // or null
};
struct ChoiceCandidatesArgs : ChoiceParts {
  int64_t take;
  int64_t* keys;       // [P, S, E, take]
  int32_t* num_valid;  // [P, S]
};
struct ChoiceSource {
  const int64_t* keys;       // [Q, E, take], falling
  const int32_t* num_valid;  // [Q]
};
struct ChoiceThresholdsArgs {
  int64_t positions, experts, take;
  const ChoiceSource* sources;
  int64_t num_sources;
  int64_t group_sequences, chosen;
  int64_t* thresholds;  // [Q, E]
  int64_t* prob_sums;   // [E], or null
  int64_t* num_groups;  // or null
};
struct ChoiceTakeArgs : ChoiceParts {
  const int64_t* thresholds;  // [P, S, E]
  int32_t* choices;           // [T, E]
};
struct ChoiceAboveArgs {
  int64_t tokens, experts;
  const float* probs;
  const uint8_t* valid;     // or null
  const float* thresholds;  // [E]
  int32_t* choices;         // [T, E]
};
struct GatherArgs {
  int64_t rows, dim;
  const float* x;
  int64_t x_rows;  // rows of x; an index outside is a RangeError
  const int32_t* index;
  float* out;
};
struct GatherScalarsArgs {
  int64_t count;
  const float* values;
  int64_t num_values;
  const int32_t* index;
  float* out;
};
/// Rows [first_row, first_row + rows) of the sorted order.
struct RowsPart {
  int64_t first_row, rows;
  const float* data;
};
struct CombineArgs {
  int64_t tokens, top_k, dim;
  const RowsPart* parts;
  int64_t num_parts;
  const int32_t* position;
  const float* weights;  // or null: 1
  const float* base;     // or null: +0
  float* out;
};
struct CombineBackwardWeightsArgs {
  int64_t tokens, top_k, dim;
  const RowsPart* parts;
  int64_t num_parts;
  const int32_t* position;
  const float* d_out;
  float* d_weights;
};
/// One source of rows; forward uses x, y; backward x, d_out, row_weights, dx.
struct ExpertSource {
  const float* x;         // [U, D]
  int64_t num_tokens;     // U of x and d_out; a slot outside is a RangeError
  const int32_t* slots;   // [N] or null: the identity
  const int32_t* counts;  // [E, G]
  int64_t num_grains;
  int64_t capacity;  // rows that slots, y (or dx) and row_weights have room for; more in `counts` is a RangeError
  float* y;
  const float* d_out;
  const float* row_weights;  // or null: 1
  float* dx;
};
struct ExpertsForwardArgs {
  int64_t experts, dim, hidden;
  Activation activation;
  Weights weights;
  int64_t expert_stride;
  const ExpertSource* sources;
  int64_t num_sources;
  bool accumulate;
  float* saved;  // or null
  int64_t saved_rows;
  Precision precision = Precision::f32;
  uint16_t* saved_halves = nullptr;  // in place of `saved` in bf16
};
/// Which results a backward call of experts has: all, or those that others wait for, or the weights' later.
enum class BackwardHalf { both, input, weight };
struct ExpertsBackwardArgs {
  int64_t experts, dim, hidden;
  Activation activation;
  Weights weights;
  int64_t expert_stride;
  const ExpertSource* sources;
  int64_t num_sources;
  bool accumulate;
  const float* saved;
  int64_t saved_rows;
  GradientTarget weight_sum;
  Precision precision = Precision::f32;
  const uint16_t* saved_halves = nullptr;  // in place of `saved` in bf16
  BackwardHalf half = BackwardHalf::both;
  float* d_saved = nullptr;  // gradients of the pre-activations, which the halves share
  uint16_t* d_saved_halves = nullptr;
};
struct ExpertsBackwardInputArgs : ExpertsBackwardArgs {};
struct ExpertsBackwardWeightArgs : ExpertsBackwardArgs {};
/// Label smoothing: what all words alike have of a target. epsilon 0: none.
struct Smoothing {
  float epsilon = 0.0f, vocab = 1.0f;     // words of the whole
  float target_scale = 0.0f, share = 0.0f;  // of the gradient: of the target, of every word

  static Smoothing of(double epsilon, double grad_scale, int64_t vocab) {
    return {static_cast<float>(epsilon), static_cast<float>(vocab), static_cast<float>(grad_scale * (1 - epsilon)),
            static_cast<float>(grad_scale * epsilon / static_cast<double>(vocab))};
  }
  /// From the loss without it, the target's logit and the sum of all.
  float loss(float nll, float chosen, float sum) const { return nll + epsilon * (chosen - sum / vocab); }
};
struct HeadLossArgs {
  int64_t tokens, dim, vocab;
  const float* x;
  Weights head;
  const int32_t* targets;  // -1: ignored; other ids outside 0 … vocab-1 are a RangeError
  Bounds grains;
  float* loss;
  int64_t* loss_sum;  // a wide sum
  float grad_scale;
  float* dx;                // or null: forward only
  GradientTarget head_sum;  // length 0: no weight gradient
  Precision precision = Precision::f32;
  const uint16_t* x_halves = nullptr;  // in place of `x`, in bf16
  Smoothing smoothing = {};
  int64_t* nll_sum = nullptr;  // a wide sum; or null
};
/// A part of the vocabulary: `vocab` words from `first_vocab` on.
struct HeadPart {
  int64_t tokens, dim, vocab, first_vocab;
  const float* x;
  const uint16_t* x_halves;
  Weights head;
  const int32_t* targets;  // words of the whole vocabulary, or -1
  Bounds grains;
  Precision precision;
};
struct HeadPartialArgs : HeadPart {
  float* max;
  float* sum;
  float* logit;
  float* logit_sum = nullptr;  // or null
};
struct HeadFinishArgs : HeadPart {
  const float* lse;
  float grad_scale;
  float* dx;
  GradientTarget head_sum;
  Smoothing smoothing = {};
};
struct HeadPartSums {
  const float* max;
  const float* sum;
  const float* logit;
  int64_t first_vocab, vocab;
  const float* logit_sum = nullptr;  // with smoothing
};
struct HeadJoinArgs {
  int64_t tokens;
  const HeadPartSums* parts;
  int64_t num_parts;
  const int32_t* targets;
  Bounds grains;
  float* lse;
  float* loss;
  int64_t* loss_sum;  // a wide sum; or null
  Smoothing smoothing = {};
  int64_t* nll_sum = nullptr;
};
struct SumAddArgs {
  ExactSum sum;
  const int64_t* other;
  bool other_overflow;
};
struct SumResetArgs {
  ExactSum sum;
};
struct SumReadArgs {
  const int64_t* sum;
  float* out;
  int64_t length;
};
struct SumSquaresArgs {
  ConstGradient gradient;
  int64_t* norm128;  // a wide sum
};
struct AdamWArgs {
  const float* weights;
  float* out;
  float* m;
  float* v;
  ConstGradient gradient;
  double grad_scale, learning_rate, beta1, beta2, eps, weight_decay, correction1, correction2;
};
struct SgdArgs {
  const float* weights;
  float* out;
  float* v;
  ConstGradient gradient;
  double grad_scale, learning_rate, weight_decay, momentum;
  bool nesterov;
};
struct AdafactorArgs {
  int64_t rows, columns;
  const float* weights;
  float* out;
  float* row;     // [rows], or without `column` one value an element
  float* column;  // [columns]; null: the tensor is no matrix
  float* work;    // [rows, columns]
  ConstGradient gradient;
  double grad_scale, learning_rate, weight_decay, beta2;
  bool relative;
};
struct MuonArgs {
  int64_t rows, columns;
  const float* weights;
  float* out;
  float* m;
  float* work;
  ConstGradient gradient;
  double grad_scale, learning_rate, weight_decay, momentum, scale;
  bool nesterov;
};

// X(function, Args): one line per operation, in the order of KernelOp. Row-wise operations live in ops-rows/,
// products in gemm/.
#define TROUPE_ROW_OPS(X)                                  \
  X(fill, FillArgs)                                        \
  X(copy, CopyArgs)                                        \
  X(round_bf16, RoundBf16Args)                             \
  X(partials_add, PartialsAddArgs)                         \
  X(embed_forward, EmbedForwardArgs)                       \
  X(embed_backward, EmbedBackwardArgs)                     \
  X(norm_forward, NormForwardArgs)                         \
  X(norm_backward, NormBackwardArgs)                       \
  X(norm_squares, NormSquaresArgs)                         \
  X(norm_products, NormProductsArgs)                       \
  X(rope, RopeArgs)                                        \
  X(positions_add, PositionsAddArgs)                       \
  X(attention_forward, AttentionForwardArgs)               \
  X(attention_backward, AttentionBackwardArgs)             \
  X(gate_forward, GateForwardArgs)                         \
  X(jitter, JitterArgs)                                    \
  X(gate_sample, GateSampleArgs)                           \
  X(route_select, RouteSelectArgs)                         \
  X(gate_weigh, GateWeighArgs)                             \
  X(bias_count, BiasCountArgs)                             \
  X(bias_step, BiasStepArgs)                               \
  X(threshold_count, ThresholdCountArgs)                   \
  X(threshold_step, ThresholdStepArgs)                     \
  X(balance_forward, BalanceForwardArgs)                   \
  X(gate_backward, GateBackwardArgs)                       \
  X(route_plan, RoutePlanArgs)                             \
  X(choice_candidates, ChoiceCandidatesArgs)               \
  X(choice_thresholds, ChoiceThresholdsArgs)               \
  X(choice_take, ChoiceTakeArgs)                           \
  X(choice_above, ChoiceAboveArgs)                         \
  X(gather, GatherArgs)                                    \
  X(gather_scalars, GatherScalarsArgs)                     \
  X(combine, CombineArgs)                                  \
  X(combine_backward_weights, CombineBackwardWeightsArgs)  \
  X(head_join, HeadJoinArgs)                               \
  X(sum_add, SumAddArgs)                                   \
  X(sum_reset, SumResetArgs)                               \
  X(sum_read, SumReadArgs)                                 \
  X(sum_squares, SumSquaresArgs)                           \
  X(adamw, AdamWArgs)                                      \
  X(sgd, SgdArgs)                                          \
  X(adafactor, AdafactorArgs)                              \
  X(muon, MuonArgs)

#define TROUPE_PRODUCT_OPS(X)                              \
  X(linear_forward, LinearForwardArgs)                     \
  X(linear_backward_input, LinearBackwardInputArgs)        \
  X(linear_backward_weight, LinearBackwardWeightArgs)      \
  X(experts_forward, ExpertsForwardArgs)                   \
  X(experts_backward, ExpertsBackwardArgs)                 \
  X(experts_backward_input, ExpertsBackwardInputArgs)      \
  X(experts_backward_weight, ExpertsBackwardWeightArgs)    \
  X(head_loss, HeadLossArgs)                               \
  X(head_partial, HeadPartialArgs)                         \
  X(head_finish, HeadFinishArgs)

/// Products by precision.
struct ProductKernels {
#define X(name, Args) void (*name)(const Args&, Pool&);
  TROUPE_PRODUCT_OPS(X)
#undef X
};

/// What one instruction set provides. `run_NAME(const Args&, Pool&)` in the ISA's namespace fills the slot `NAME` of a row-wise
/// operation; `run_NAME<float>` and `run_NAME<Half>` those of a product. Members of the same names call what the arguments ask for.
struct Kernels {
  const char* isa;
#define X(name, Args) void (*name)(const Args&, Pool&);
  TROUPE_ROW_OPS(X)
#undef X
  ProductKernels f32, bf16;
#define X(name_, Args) \
  void name_(const Args& args, Pool& pool) const { (args.precision == Precision::bf16 ? bf16 : f32).name_(args, pool); }
  TROUPE_PRODUCT_OPS(X)
#undef X
  /// Register-only FMA loop; returns the floating-point operations done.
  double (*fma_loop)(int64_t iterations);
  /// The same with the bf16 units; null where there are none.
  double (*pair_loop)(int64_t iterations);
};

const Kernels& kernels_portable();
const Kernels& kernels_avx2();
const Kernels& kernels_avx512();
/// kernels_avx512 with bf16 products on vdpbf16ps.
const Kernels& kernels_avx512bf16();
const Kernels& kernels_neon();

}  // namespace troupe
