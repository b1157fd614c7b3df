import { field, message, tensor } from '@troupe/runtime';

const { flag, number, optional } = field;

/** A part of a flat buffer, elements. */
const range = { from: number, to: number };

/** What passes between couriers, those who compute beside them, and shards: a part of the catalogue of a run. */
export const courierMessages = {
  'segment.want': message({
    from: ['pass', 'expert'],
    to: ['courier'],
    says: 'Is about to compute with a segment: its weights are wanted, or room for its gradients; `next` comes after it.',
    fenced: true,
    body: { segment: number, weights: flag, gradients: flag, next: optional(number) },
  }),
  'segment.ready': message({
    from: ['courier'],
    to: ['pass', 'expert'],
    says: 'What was wanted of the segment is here, and stays until it is left.',
    fenced: true,
    body: { segment: number },
  }),
  'segment.left': message({
    from: ['pass', 'expert'],
    to: ['courier'],
    says: 'Kernels that read the weights of the segment have run: others may take their place.',
    fenced: true,
    body: { segment: number },
  }),
  'weights.ask': message({
    from: ['courier'],
    to: ['optimizer'],
    says: 'Weights of `version` of a part of the slice are wanted (ZeRO 3).',
    fenced: true,
    body: range,
  }),
  'weights.part': message({
    from: ['optimizer'],
    to: ['courier'],
    says: 'The answer.',
    fenced: true,
    body: range,
    tensors: { weights: tensor.rows },
  }),
  'weights.bring': message({
    from: ['optimizer'],
    to: ['courier'],
    says: 'New weights of a slice as they are read, for a worker whose shard is on a host.',
    fenced: true,
    body: range,
    tensors: { weights: tensor.rows },
  }),
  'gradient.filled': message({
    from: ['pass', 'expert'],
    to: ['courier'],
    says: 'All leaves of one microbatch are in the bucket of the segment: it may leave (ZeRO 2 and 3).',
    fenced: true,
    body: { segment: number },
  }),
  'gradient.taken': message({
    from: ['optimizer'],
    to: ['courier', 'optimizer'],
    says: "That part of a bucket is added: its memory is its owner's again.",
    fenced: true,
    body: { ...range, level: number },
  }),
} as const;
