import { field, message, tensor } from '@troupe/runtime';

const { flag, number, oneOf, text } = field;
const { floats, ints } = tensor;

/** How a run leaves an attempt, what becomes of a checkpoint that was being written, and how every shard gets its state back. */
export const recoveryMessages = {
  'attempt.abandon': message({
    from: ['agent', 'stage', 'expert', 'optimizer'],
    to: ['stage', 'pass', 'gate', 'expert', 'courier', 'optimizer', 'ward'],
    says: 'Something was lost, or experts move: leave every attempt before `attempt`. The first actor of a worker tells the others. Groups of experts are absent as long as these sit as they did in the beginning.',
    tensors: { groups_LE: tensor.optional(ints) },
  }),
  'attempt.abandoned': message({
    from: ['optimizer', 'ward', 'courier'],
    to: ['agent'],
    says: 'A shard, or the copy of one, has left the attempt: whether it holds all of its state, of `version`.',
    fenced: true,
    body: { loaded: flag },
  }),
  'checkpoint.abandon': message({
    from: ['trainer'],
    to: ['store'],
    says: 'The attempt is over: throw a checkpoint away that lacks parts.',
  }),
  'checkpoint.settled': message({
    from: ['store'],
    to: ['trainer'],
    says: "No shard's memory is read any more. The newest checkpoint that the store has written in its life: its step and place; 0: none.",
    fenced: true,
    body: { saved: number, path: text },
  }),
  'shard.keep': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'optimizer'],
    says: 'Go on with the state that you hold; to an agent: those of its shards that hold `version` do.',
    fenced: true,
  }),
  'shard.send': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'optimizer', 'ward'],
    says: 'The shard `holder`, or the copy `holder` of one, sends the state that it holds to the shard `to`.',
    fenced: true,
    body: { holder: text, to: text },
  }),
  'state.slice': message({
    from: ['optimizer', 'ward'],
    to: ['optimizer'],
    says: 'A part of the state that a restarted shard lost.',
    fenced: true,
    body: { from: number, to: number },
    tensors: { weights: floats, first: floats, second: floats },
  }),
  'shard.restore': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'optimizer'],
    says: 'Take your state from the snapshot that the store has opened, or draw it again.',
    fenced: true,
    body: { source: oneOf('snapshot', 'seed') },
  }),
} as const;
