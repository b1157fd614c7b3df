import * as z from 'zod';
import { choice, count, flag, text } from '../schema-fields.ts';

/** Most trainings of one sweep. */
export const CELLS_MAX = 10_000;

const values = z.array(z.unknown()).min(1).meta({ description: 'Its values.' });
/** A value of an axis, or several. */
const pattern = z.record(z.string(), z.unknown());

/** A sweep file: a base topology, and what is varied about it. */
export const sweepSchema = z.strictObject({
  sweep: z.literal(1).default(1),
  base: z.union([text('A topology file or preset.'), pattern]),
  out: text('File of rows, relative to the sweep file.').default('runs.jsonl'),
  jobs: count('Trainings at once.', 'jobs', { max: 256 }).default(1),
  devices: z.array(text('A device.')).min(1).optional(),
  epochs: choice('Whether a training may read a text more than once.', ['refuse', 'allow']).default('refuse'),
  keepCheckpoints: flag('Checkpoints of trainings that are done stay.').default(false),
  grid: z.record(z.string(), values),
  only: z.array(pattern).min(1).optional(),
  also: z.array(pattern).default([]),
});

export type SweepValues = z.output<typeof sweepSchema>;

/** What a key of a sweep file takes, for those who wrote something else. */
export const expectations: Readonly<Record<string, string>> = {
  sweep: 'must be 1, the version of the format',
  base: 'must be a topology: the name of a file or preset, or its keys',
  out: 'must be the path of a file',
  jobs: 'must be a whole number from 1 to 256',
  devices: 'must be a list of devices, such as [cpu:0/threads=2]',
  epochs: 'must be refuse or allow',
  keepCheckpoints: 'must be true or false',
  grid: 'must be a map of axes, each with the list of its values: dModel: [64, 128]',
  only: 'must be a list of maps, each with axes and the values to keep: [{ router: token-choice }]',
  also: 'must be a list of maps, each with axes and values: [{ granularity: 4, seed: [2, 3] }]',
};
