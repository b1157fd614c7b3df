import { DEFAULT_FANOUT } from '@troupe/spec';
import { sinkNames } from '@troupe/telemetry/sinks';
import * as z from 'zod';
import { choice, count, positive, real, text } from './schema-fields.ts';
import { limits } from './limits.ts';
import { faultsSchema, linksSchema, speedSchema } from './schema-sim.ts';

/** Devices of the largest cluster that a topology describes. */
export const MAX_WORLD = 65_536;

const optimizer = z
  .strictObject({
    kind: choice('Update rule.', ['adamw', 'adafactor', 'muon', 'sgd']).default('adamw'),
    lr: positive('Highest learning rate.', 'per step').default(3e-3),
    lrMin: real('Learning rate of the last step. Default: lr / 10.', 'per step', { min: 0 }).optional(),
    betas: z
      .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
      .meta({ description: 'Decay of the first and second moment.', unit: 'fraction' })
      .default([0.9, 0.95]),
    eps: positive('Added to the root of the second moment.', 'gradient', 1).default(1e-8),
    weightDecay: real('Decoupled weight decay, times the learning rate.', 'fraction a step', {
      min: 0,
    }).default(0.1),
    clip: real('Largest norm of the whole gradient; 0: no limit.', 'norm', { min: 0 }).default(1),
    schedule: choice('Learning rate after the warm-up.', ['cosine', 'constant', 'linear', 'wsd']).default(
      'cosine',
    ),
    warmup: real('Share of the steps in which the learning rate rises from 0.', 'fraction', {
      min: 0,
      max: 1,
    }).default(0.02),
  })
  .prefault({})
  .describe('How gradients change weights.');

export const trainSchema = z
  .strictObject({
    steps: count('Steps of the whole schedule; --stop-after ends earlier.', 'steps').default(300),
    scheduleFrom: count('Step after which the schedule starts; `resume --reset-schedule` sets it.', 'steps', {
      min: 0,
    }).default(0),
    batch: count('Sequences of one step.', 'sequences').default(16),
    grains: count(
      'Blocks of the batch that no layout splits; a multiple of dp × microbatches. Default: the largest divisor of batch up to 8.',
      'blocks',
      { max: MAX_WORLD },
    ).optional(),
    microbatches: count('Parts in which a replica computes its share of a step.', 'parts').default(1),
    optimizer,
    precision: choice('Format of weights and activations.', ['f32', 'bf16', 'f16']).default('f32'),
    maxSkipped: count(
      'Steps that are skipped one after the other, since their gradients are not finite, until the run ends with exit code 1; 0: it goes on. Never changes the numbers.',
      'steps',
      { min: 0 },
    ).default(10),
    seed: count('Decides every random draw.', 'seed', { min: 0, max: Number.MAX_SAFE_INTEGER }).default(1),
  })
  .prefault({})
  .describe('The run.');

const axis = (description: string, unit: string) =>
  z.union([z.literal(-1), z.int().min(1).max(MAX_WORLD)]).meta({ description, unit });

export const parallelSchema = z
  .strictObject({
    dp: axis('Data-parallel replicas; -1 (default): what the machines have left.', 'replicas').default(-1),
    ep: axis(
      'Ranks that share the experts of a layer, divides dp; -1: the most that divide dp and experts.',
      'ranks',
    ).default(1),
    pp: axis('Pipeline stages; -1: what is left.', 'stages').default(1),
    tp: axis('Ranks that share a matrix; -1: what is left.', 'ranks').default(1),
    zero: z
      .union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)])
      .default(1)
      .describe('0 replicated; 1 optimizer sharded over replicas; 2 gradients too; 3 weights too.'),
    offload: choice('What lives in host memory instead of the device.', ['none', 'optimizer']).default(
      'none',
    ),
    pipeline: choice('Order of microbatches in the pipeline.', ['1f1b', 'gpipe', 'interleaved']).default(
      '1f1b',
    ),
  })
  .prefault({})
  .describe('How the work is cut. Never changes the numbers.');

/** `cpu:0`, `cpu:1/threads=2`, `cuda:0`. */
const devicePattern = /^(?:cpu:(?:0|[1-9]\d{0,4})(?:\/threads=[1-9]\d{0,2})?|cuda:(?:0|[1-9]\d{0,4}))$/;
const hostPattern = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)$/;
const bodies = ['auto', 'native', 'tfjs'] as const;

const machineSchema = z.strictObject({
  host: z
    .string()
    .regex(hostPattern)
    .meta({ description: 'Name or address of the machine.' })
    .default('localhost'),
  devices: z
    .array(z.string().regex(devicePattern))
    .min(1)
    .max(MAX_WORLD)
    .describe('One worker process each: cpu:0, cpu:1/threads=2 (default one thread), cuda:0.'),
  body: choice('Which kernels compute here. Default: the top-level `device`.', bodies).optional(),
  speed: speedSchema.optional(),
});

export const runKeys = {
  machines: z
    .array(machineSchema)
    .min(1)
    .max(limits.machines)
    .optional()
    .describe(
      'Machines and their devices, a worker process each. Default: this machine, with cpu:0, cpu:1 … as many as needed.',
    ),
  device: choice('Which kernels compute: native addon, TensorFlow.js, or what is there.', bodies).default(
    'auto',
  ),
  placement: z
    .record(z.string(), z.string())
    .default({})
    .describe(
      'Address pattern to device, `expert/L*/ep1/*: localhost/cpu:3`; the last rule that matches wins.',
    ),
  checkpoint: z
    .strictObject({
      dir: text('Folder, relative to the working directory. Default: runs/NAME.').optional(),
      every: count('Steps between checkpoints; 0: only at the end.', 'steps', { min: 0 }).default(100),
      keep: count(
        'Checkpoints kept; older ones are deleted. While a run goes on two at least: the newest may turn out to be behind a blow-up.',
        'checkpoints',
      ).default(3),
    })
    .prefault({})
    .describe('What is written to disk.'),
  metrics: z
    .array(z.enum(sinkNames))
    .min(1)
    .max(sinkNames.length)
    .default(['jsonl'])
    .describe(
      'Files of metrics in the run folder, such as [jsonl, tensorboard]; jsonl is always written. Never changes the numbers.',
    ),
  links: linksSchema,
  faults: faultsSchema,
  wire: z
    .strictObject({
      dtype: choice('Format of rows between workers.', ['f32', 'bf16', 'f16']).default('f32'),
      security: choice('auto: CURVE between machines; none only on loopback.', [
        'auto',
        'none',
        'curve',
      ]).default('auto'),
      port: z
        .union([z.literal('auto'), z.int().min(1).max(65535)])
        .default('auto')
        .meta({ description: 'First TCP port; auto: any free one.', unit: 'port' }),
      fanout: z
        .union([z.literal(0), z.int().min(2).max(64)])
        .default(DEFAULT_FANOUT)
        .meta({
          description:
            'Most peers with which a shard exchanges gradients and weights directly; more of them do it in levels, devices of a machine first. 0: all at once.',
          unit: 'peers',
        }),
    })
    .prefault({})
    .describe('Messages between processes.'),
  recovery: z
    .strictObject({
      losses: count(
        'Lost workers that are restarted within the period; one more ends the run with 76; 0: the first one does.',
        'losses',
        {
          min: 0,
        },
      ).default(5),
      withinSeconds: positive('Length of that period.', 'seconds').default(600),
      fromStart: z
        .boolean()
        .default(true)
        .describe(
          'State that no other worker holds comes from the newest checkpoint; true: without one the run starts over, with the same numbers; false: it ends with 76.',
        ),
      buddies: z
        .boolean()
        .default(false)
        .describe(
          'A state that one worker alone holds (ZeRO 1; experts with edp 1) is kept by a second one too, on another machine where there is one: a loss then repeats no step. Costs 20 bytes a parameter of the slice (16 where gradients are f32), a message of 8 (4) bytes each and a second update of it a step.',
        ),
    })
    .prefault({})
    .describe('What happens when a worker is lost. Never changes the numbers.'),
  eval: z
    .strictObject({
      every: count('Steps between evaluations; 0: never.', 'steps', { min: 0 }).default(50),
      batches: z
        .union([z.literal('all'), z.int().min(1)])
        .default('all')
        .meta({ description: 'Batches of held-out data in one evaluation.', unit: 'batches' }),
    })
    .prefault({})
    .describe('Loss on held-out data.'),
};
