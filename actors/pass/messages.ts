import { field, message } from '@troupe/runtime';

const { flag, number } = field;

/** Of gradients of matrices that wait for an operation of their own (zero-bubble). */
export const matricesMessages = {
  'matrices.run': message({
    from: ['stage'],
    to: ['pass'],
    says: 'The backward half has gone on: compute the gradients of matrices that wait since; `last`: the step has no further microbatch.',
    fenced: true,
    body: { last: flag },
  }),
  'matrices.done': message({
    from: ['pass'],
    to: ['stage'],
    says: 'They are computed, also those of the experts here: the slot is free.',
    fenced: true,
    body: { chunk: number },
  }),
  'experts.finish': message({
    from: ['pass'],
    to: ['expert'],
    says: 'The same for the experts of a layer that live beside the pass.',
    fenced: true,
  }),
  'experts.finished': message({
    from: ['expert'],
    to: ['pass'],
    says: 'They are computed; what the pass sent is read no more.',
    fenced: true,
  }),
} as const;
