import { field, message, tensor } from '@troupe/runtime';

const { flag, number, optional, text, texts } = field;
const { floats, int64s, ints } = tensor;

/** What of a token batch counts: targets of the loss, tokens that are not padding, and balance domains that are not padding alone. */
export const counted = {
  targets: number,
  tokens: number,
  domains: number,
  sourceTokens: optional(number),
  sourceDomains: optional(number),
};

/** What agents say to the trainer, one message a machine, of what lives there; and what only an agent is told. */
export const agentMessages = {
  'machine.counted': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'What the sequences of all feeders of a machine count in the sums of a step.',
    body: counted,
  }),
  'machine.loaded': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'Every shard of a machine holds its state, and so does its buddy.',
    fenced: true,
  }),
  'machine.balanced': message({
    from: ['agent'],
    to: ['trainer'],
    says: "Choices of every expert of the machine's layers in its part of the batch, for a balance loss over the whole batch.",
    fenced: true,
    tensors: { counts_LE: ints },
  }),
  'machine.measured': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'Exact sums of all stages of a machine over a step, over the layers with experts that these have; where tensor peers are, a digest of what each row of them holds alike.',
    fenced: true,
    body: { kernelMs: number },
    tensors: {
      lossSum: int64s,
      layerSums: int64s,
      counts_LE: ints,
      dropped_L: ints,
      probSums: int64s,
      alike_N: tensor.optional(floats),
    },
  }),
  'machine.voted': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'Every shard of a machine holds the complete sum of its slice; the sum of their squared norms.',
    fenced: true,
    body: { overflow: flag, kernelMs: number },
    tensors: { norm128: int64s },
  }),
  'machine.applied': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'The update is carried out by all shards, and copies of shards, that live on a machine.',
    fenced: true,
  }),
  'machine.evaluated': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'The exact loss sum of the stages of a machine over the held-out sequences.',
    fenced: true,
    body: { targets: number },
    tensors: { lossSum: int64s },
  }),
  'machine.answered': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'All stages of a machine are through with a question; the logits, from where they are made.',
    fenced: true,
    tensors: { logits_NV: tensor.optional(floats) },
  }),
  'machine.staged': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'All experts that come to a machine lie there, beside what is held.',
    fenced: true,
  }),
  'machine.abandoned': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'All of a machine has left the attempt; the version that each shard and each copy of one holds completely, or -1, in the order of its crew.',
    fenced: true,
    body: { machine: number },
    tensors: { versions_N: ints },
  }),
  'machine.describe': message({
    from: ['supervisor'],
    to: ['agent'],
    says: 'The heartbeat of a machine: `nodes` are to be asked what their actors do. `about`: a look at one node at once, which the answer waits for.',
    body: {
      node: text,
      incarnation: number,
      nodes: texts,
      silenceMs: number,
      about: optional(text),
    },
  }),
  'machine.described': message({
    from: ['agent'],
    to: ['supervisor'],
    says: 'What nodes of the machine have answered since the question before: one line an actor.',
    body: { lines: texts },
  }),
  'attempt.leave': message({
    from: ['trainer'],
    to: ['agent'],
    says: 'Something was lost, or experts move: all of the machine is to leave every attempt before `attempt`, but for nodes that are `down`. Groups of experts as in `attempt.abandon`.',
    body: { down: texts, reason: text },
    tensors: { groups_LE: tensor.optional(ints) },
  }),
  'attempt.join': message({
    from: ['trainer'],
    to: ['agent'],
    says: 'The next life of a worker has joined, and belongs to this attempt.',
    fenced: true,
    body: { worker: number },
    tensors: { groups_LE: tensor.optional(ints) },
  }),
  'commit.forget': message({
    from: ['trainer'],
    to: ['agent'],
    says: 'A worker was lost while a decision is carried out: nothing on it answers any more.',
    fenced: true,
    body: { worker: number },
  }),
} as const;
