import { field, message, tensor } from '@troupe/runtime';

const { number } = field;
const { floats, ints } = tensor;

/** How experts move to other groups while a run goes on. */
export const movingMessages = {
  'experts.move': message({
    from: ['trainer'],
    to: ['optimizer', 'ward'],
    says: 'Experts are to sit in these groups: send those that leave, and keep beside your state what comes.',
    fenced: true,
    tensors: { groups_LE: ints },
  }),
  'experts.state': message({
    from: ['optimizer'],
    to: ['optimizer', 'ward'],
    says: 'A part of the state of an expert for the shard that has it next, and for the copy of that shard.',
    fenced: true,
    body: { from: number, to: number },
    tensors: { weights: floats, m: floats, v: floats },
  }),
  'experts.staged': message({
    from: ['optimizer', 'ward'],
    to: ['trainer'],
    says: 'All that comes lies here, beside what is held.',
    fenced: true,
  }),
} as const;
