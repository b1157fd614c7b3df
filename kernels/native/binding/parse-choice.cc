// Arguments of expert choice.
#include "parse.h"

namespace troupe {
namespace parsers {
namespace {

int64_t group_sequences_of(const Reader& r) {
  const int64_t found = r.size("groupSequences", 1);
  require(r, found <= MOST_GROUP_SEQUENCES, "groupSequences", found, "at most " + std::to_string(MOST_GROUP_SEQUENCES));
  return found;
}

template <class Args>
Args choice_parts(const Reader& r) {
  Args args = {};
  args.tokens = r.size("tokens");
  args.experts = r.size("experts", 1);
  args.seq_len = r.size("seqLen", 1);
  args.part_sequences = r.size("partSequences", 1);
  args.group_sequences = group_sequences_of(r);
  args.first_sequence = r.size("firstSequence");
  const int64_t part = args.seq_len * args.part_sequences;
  require(r, args.tokens % part == 0, "tokens", args.tokens, "whole parts of seqLen·partSequences " + std::to_string(part));
  const std::string whole = "a multiple of partSequences " + std::to_string(args.part_sequences);
  require(r, args.group_sequences % args.part_sequences == 0, "groupSequences", args.group_sequences, whole);
  require(r, args.first_sequence % args.part_sequences == 0, "firstSequence", args.first_sequence, whole);
  args.probs = r.floats("probs_TE", args.tokens * args.experts).data;
  args.valid = r.bytes_or_null("valid_T", args.tokens).data;
  return args;
}
}  // namespace

ChoiceCandidatesArgs choice_candidates(const Reader& r, CallList&) {
  auto args = choice_parts<ChoiceCandidatesArgs>(r);
  args.take = r.size("take", 1);
  const int64_t positions = args.tokens / args.part_sequences;
  args.keys = r.int64s("keys", positions * args.experts * args.take).data;
  args.num_valid = r.ints("numValid", positions).data;
  return args;
}

ChoiceThresholdsArgs choice_thresholds(const Reader& r, CallList& list) {
  ChoiceThresholdsArgs args = {};
  args.positions = r.size("positions");
  args.experts = r.size("experts", 1);
  args.take = r.size("take", 1);
  args.group_sequences = group_sequences_of(r);
  args.chosen = r.size("chosen", 1);
  require(r, args.chosen <= args.group_sequences, "chosen", args.chosen,
          "at most groupSequences " + std::to_string(args.group_sequences));
  list.choice_sources.emplace_back();
  std::vector<ChoiceSource>& sources = list.choice_sources.back();
  const uint32_t count = length_of(r, "sources");
  require(r, count > 0, "sources.length", count, "at least 1");
  for (uint32_t i = 0; i < count; i++) {
    const Reader source = element(r, "sources", i);
    const auto keys = source.int64s("keys", args.positions * args.experts * args.take);
    sources.push_back({keys.data, source.ints("numValid", args.positions).data});
  }
  args.sources = sources.data();
  args.num_sources = count;
  args.thresholds = r.int64s("thresholds", args.positions * args.experts).data;
  args.prob_sums = r.int64s_or_null("probSums_E", args.experts).data;
  args.num_groups = r.int64s_or_null("numGroups", 1).data;
  return args;
}

ChoiceTakeArgs choice_take(const Reader& r, CallList&) {
  auto args = choice_parts<ChoiceTakeArgs>(r);
  args.thresholds = r.int64s("thresholds", args.tokens / args.part_sequences * args.experts).data;
  args.choices = r.ints("choices_TE", args.tokens * args.experts).data;
  return args;
}

ChoiceAboveArgs choice_above(const Reader& r, CallList&) {
  ChoiceAboveArgs args = {};
  args.tokens = r.size("tokens");
  args.experts = r.size("experts", 1);
  args.probs = r.floats("probs_TE", args.tokens * args.experts).data;
  args.valid = r.bytes_or_null("valid_T", args.tokens).data;
  args.thresholds = r.floats("thresholds_E", args.experts).data;
  args.choices = r.ints("choices_TE", args.tokens * args.experts).data;
  return args;
}

}  // namespace parsers
}  // namespace troupe
