import { field, message, tensor } from '@troupe/runtime';

const { oneOf } = field;
const { int64s, ints } = tensor;
const mode = oneOf('train', 'evaluate');

/** What gates of a layer tell each other where a choice group has sequences of several replicas. */
export const choiceMessages = {
  'choice.candidates': message({
    from: ['gate'],
    to: ['gate'],
    says: 'The largest keys of a replica for each expert, at the positions that the receiver decides for their common choice group; part by part.',
    fenced: true,
    body: { mode },
    tensors: { keys: int64s, numValid: ints },
  }),
  'choice.thresholds': message({
    from: ['gate'],
    to: ['gate'],
    says: 'What the sender has decided at its positions: tokens with this key or a larger one are taken.',
    fenced: true,
    body: { mode },
    tensors: { thresholds_QE: int64s },
  }),
} as const;
