import * as z from 'zod';
import { dataSchema, modelSchema } from './schema-model.ts';
import { parallelSchema, runKeys, trainSchema } from './schema-run.ts';
import { text } from './schema-fields.ts';

/** Version of the file format that this code reads. */
export const TOPOLOGY_VERSION = 1;

/**
 * A topology file, version 1. Defaults that follow from other keys (kvHeads, dFf, grains, lrMin, machines …) are
 * not here but in `fill.ts`, since zod sees one key at a time.
 */
export const topologySchema = z
  .strictObject({
    troupe: z
      .literal(TOPOLOGY_VERSION)
      .default(TOPOLOGY_VERSION)
      .meta({ description: 'Version of the file format.' }),
    $schema: text('Address of the JSON Schema, for editors; not read.').optional(),
    extends: text(
      'A preset, or a topology file relative to this one, whose values this file changes.',
    ).optional(),
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
      .optional()
      .meta({ description: 'Name of the run. Default: the name of the file.' }),
    model: modelSchema,
    data: dataSchema,
    train: trainSchema,
    parallel: parallelSchema,
    ...runKeys,
  })
  .meta({
    title: 'Troupe topology',
    description: 'Which model is trained how, and how the work is cut over machines and devices.',
  });

/** A topology as written. */
export type TopologyInput = z.input<typeof topologySchema>;

/** A topology with the defaults that zod fills in. */
export type TopologyValues = z.output<typeof topologySchema>;
