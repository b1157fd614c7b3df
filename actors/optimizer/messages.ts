import { message, tensor } from '@troupe/runtime';

const { floats, int64s, ints } = tensor;

/** How experts move to other groups while a run goes on. */
export const movingMessages = {
  'experts.move': message({
    from: ['trainer', 'agent'],
    to: ['agent', 'optimizer', 'ward'],
    says: 'Experts are to sit in these groups: send those that leave, and keep beside your state what comes.',
    fenced: true,
    tensors: { groups_LE: ints },
  }),
  'experts.state': message({
    from: ['optimizer'],
    to: ['optimizer', 'ward'],
    says: 'State of experts for the shard that has them next, and for the copy of that shard: parts one behind the other, each from and to an element there.',
    fenced: true,
    tensors: { ranges: int64s, weights: floats, first: floats, second: floats },
  }),
  'experts.staged': message({
    from: ['optimizer', 'ward'],
    to: ['agent'],
    says: 'All that comes lies here, beside what is held.',
    fenced: true,
  }),
} as const;
