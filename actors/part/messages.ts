import { field, message } from '@troupe/runtime';

const { flag, number, text } = field;

/** Between the store and those of machines, each of which writes the part of a checkpoint that its machine has. */
export const partMessages = {
  'part.begin': message({
    from: ['store'],
    to: ['part'],
    says: 'A checkpoint of `step` comes: write the part of your machine.',
    fenced: true,
  }),
  'part.written': message({
    from: ['part'],
    to: ['store'],
    says: 'The part of a machine is on the disk, in this folder; the hash is of its `part.json`, and through it of everything.',
    fenced: true,
    body: { machine: number, folder: text, sha256: text },
  }),
  'part.failed': message({
    from: ['part'],
    to: ['store'],
    says: 'The part of a machine could not be written.',
    fenced: true,
    body: { machine: number, code: text, message: text, retryable: flag },
  }),
  'part.abandon': message({
    from: ['store'],
    to: ['part'],
    says: 'The attempt is over: throw your part away.',
  }),
} as const;
