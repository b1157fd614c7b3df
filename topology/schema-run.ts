import { DEFAULT_FANOUT, optimizerKinds } from '@troupe/spec';
import { sinkNames } from '@troupe/telemetry/sinks';
import * as z from 'zod';
import { choice, count, flag, MAX_COUNT, MAX_WORLD, positive, real, text } from './schema-fields.ts';
import { bodies, interfacePattern, launcherSchema, machinesSchema } from './schema-machines.ts';
import { faultsSchema, linksSchema } from './schema-sim.ts';

const optimizer = z
  .strictObject({
    kind: choice(
      'Update rule. muon is for the matrices of blocks; the embedding, the head, routers, norms and biases have adamw beside it. adafactor and muon need whole tensors: tp 1 and tensorSegments 1.',
      optimizerKinds,
    ).default('adamw'),
    lr: positive('Highest learning rate.', 'per step').default(3e-3),
    lrMin: real('Learning rate of the last step. Default: lr / 10.', 'per step', { min: 0 }).optional(),
    betas: z
      .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
      .meta({
        description: 'Decay of the first and second moment of adamw, also beside muon.',
        unit: 'fraction',
      })
      .default([0.9, 0.95]),
    eps: positive('Added to the root of the second moment.', 'gradient', 1).default(1e-8),
    momentum: z
      .number()
      .min(0)
      .lt(1)
      .meta({
        description: 'Decay of the momentum of sgd and muon. Default: 0.9 for sgd, 0.95 for muon.',
        unit: 'fraction',
      })
      .optional(),
    nesterov: flag(
      'Whether sgd or muon steps by the momentum as the next gradient would find it. Default: false for sgd, true for muon.',
    ).optional(),
    stepScale: choice(
      'Size of a step of muon beside the learning rate. adamw: 0.2 · √max(rows, columns), so that a learning rate of adamw fits. spectral: √max(1, rows / columns). Default: adamw.',
      ['adamw', 'spectral'],
    ).optional(),
    relativeStep: flag(
      'Whether a step of adafactor is a share of the size of its tensor, min(0.01, 1 / √updates), instead of the learning rate. Default: false.',
    ).optional(),
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
    decay: real(
      'Share of the steps, the last ones, in which the learning rate of wsd (warm-up, stable, decay) falls to lrMin along a line; before, it stays at lr. Default: 0.2.',
      'fraction',
      { min: 0, max: 1 },
    ).optional(),
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
      'Blocks that the batch is cut into and that no layout splits; a multiple of dp × microbatches. Default: the largest divisor of batch up to 8.',
      'blocks',
      { max: MAX_WORLD },
    ).optional(),
    microbatches: count(
      'Parts into which a replica divides its share of a step; it computes one after the other. Never changes the numbers.',
      'parts',
    ).default(1),
    recompute: choice(
      'What backward computes again instead of keeping it: nothing, or all of a layer but its choices and what its experts hold. Never changes the numbers.',
      ['none', 'layer'],
    ).default('none'),
    tensorSegments: z
      .union([z.literal(1), z.literal(2), z.literal(4), z.literal(8)])
      .default(1)
      .meta({
        description:
          'Segments of every sum that tensor ranks may divide, added as a tree of neighbours. With more than 1, no tp that divides it changes a number; with 1, tp > 1 stays within 1e-5.',
        unit: 'segments',
      }),
    optimizer,
    precision: choice('Format of weights and activations.', ['f32', 'bf16']).default('f32'),
    labelSmoothing: real(
      'Share of the target spread over all words in the loss that gradients are of; losses that are reported are without it.',
      'share',
      { min: 0, max: 0.9 },
    ).default(0),
    maxSkipped: count(
      'Steps in a row that are skipped because their gradients are not finite. Reaching this number ends the run with exit code 1; 0 never ends it. Never changes the numbers.',
      'steps',
      { min: 0 },
    ).default(10),
    seed: count('Decides every random draw.', 'seed', { min: 0, max: Number.MAX_SAFE_INTEGER }).default(1),
  })
  .prefault({})
  .describe('The run.');

const axis = (description: string, unit: string) =>
  z.union([z.literal(-1), z.int().min(1).max(MAX_WORLD)]).meta({ description, unit });

/** Most runs of layers that one stage has. */
const MAX_CHUNKS = 64;

/** The experts of every group. */
const written = z
  .array(z.array(z.int().min(0).max(MAX_COUNT)).min(1))
  .min(1)
  .max(MAX_WORLD);

export const parallelSchema = z
  .strictObject({
    dp: axis('Data-parallel replicas; -1 (default): as many as the devices allow.', 'replicas').default(-1),
    ep: axis(
      'Replicas that share the experts of a layer; must divide dp. -1: the largest number that divides dp and experts.',
      'ranks',
    ).default(1),
    pp: axis('Pipeline stages; -1: as many as the devices allow.', 'stages').default(1),
    tp: axis('Devices that share a matrix; -1: as many as the devices allow.', 'ranks').default(1),
    zero: z
      .union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)])
      .default(1)
      .describe(
        'What replicas divide among themselves instead of each holding all of it: 0 nothing; 1 optimizer state; 2 gradients too; 3 weights too.',
      ),
    offload: choice('What lives in host memory instead of the device.', ['none', 'optimizer']).default(
      'none',
    ),
    pipeline: choice('Order of microbatches in the pipeline.', [
      '1f1b',
      'gpipe',
      'interleaved',
      'zero-bubble',
    ]).default('1f1b'),
    chunks: count(
      'Runs of layers that a stage of an interleaved pipeline has. Default: 2 with pipeline interleaved, else 1.',
      'runs',
      { max: MAX_CHUNKS },
    ).optional(),
    stages: z
      .array(z.int().min(1).max(MAX_COUNT))
      .min(1)
      .max(MAX_WORLD)
      .optional()
      .describe(
        'Layers of each of the pp × chunks runs of layers, in the order of the model. Default: cut so that their FLOPs are as even as whole layers allow.',
      ),
    rankOrder: choice(
      'Which replicas share the experts of a layer: neighbours (ep-inner), or those dp / ep apart (edp-inner).',
      ['ep-inner', 'edp-inner'],
    ).default('ep-inner'),
    expertsSliced: flag(
      'The matrices of an expert are divided over tensor ranks too; else each rank has whole experts and sends them the rows of its share of the grains. Default: true, and false where experts lie on devices that hold no stage, which have them whole.',
    ).optional(),
    experts: z
      .union([z.enum(['contiguous', 'balanced']), written, z.array(written).min(1).max(MAX_WORLD)])
      .default('contiguous')
      .describe(
        'Which group has which experts: equal runs of them (contiguous); as many each, dealt by the rows that each had since the last time whenever that leaves the fullest groups over 5 % fewer (balanced); or by hand, a list of experts for each group (or such lists for each layer with experts).',
      ),
    rebalanceEvery: count('Fewest steps between two dealings of balanced experts.', 'steps').default(100),
  })
  .prefault({})
  .describe('How the work is divided over devices. Never changes the numbers.');

export const runKeys = {
  machines: machinesSchema,
  launcher: launcherSchema,
  device: choice('Which kernels compute: native addon, TensorFlow.js, or what is there.', bodies).default(
    'auto',
  ),
  placement: z
    .record(z.string(), z.string())
    .default({})
    .describe(
      'Address pattern to device, `expert/L*/ep1/*: localhost/cpu:3`; the last rule that matches wins. Stages and groups of experts can be placed, and what works with them follows; experts lie beside their stages, or all of them on devices that hold no stage. Optimizer shards can be put on the hosts of their machines, all of them: `optimizer/*: host:0` (as offload optimizer does), or machine by machine `optimizer/dense/dp0: box/host:0`. A machine is called by its host, or by its place in `machines`: `m0/cpu:3`.',
    ),
  checkpoint: z
    .strictObject({
      dir: text('Folder, relative to the working directory. Default: runs/NAME.').optional(),
      every: count('Steps between checkpoints; 0: only at the end.', 'steps', { min: 0 }).default(100),
      keep: count(
        'Checkpoints kept; older ones are deleted. A running job keeps at least two, because the newest may already hold diverged weights.',
        'checkpoints',
      ).default(3),
    })
    .prefault({})
    .describe('What is written to disk.'),
  metrics: z
    .array(z.enum(sinkNames))
    .min(1)
    .default(['jsonl'])
    .describe(
      'Files of metrics in the run folder, such as [jsonl, tensorboard]; jsonl is always written. Never changes the numbers.',
    ),
  links: linksSchema,
  faults: faultsSchema,
  wire: z
    .strictObject({
      dtype: choice('Format of rows between gates and experts; changes the numbers.', [
        'f32',
        'bf16',
      ]).default('f32'),
      security: choice('auto: CURVE between machines; none only on loopback.', [
        'auto',
        'none',
        'curve',
      ]).default('auto'),
      port: z
        .union([z.literal('auto'), z.int().min(1).max(65535)])
        .default('auto')
        .meta({
          description:
            'First TCP port of every machine, which uses two for each of its processes and no others; auto: any free ones.',
          unit: 'port',
        }),
      interface: z
        .union([z.null(), z.string().regex(interfacePattern)])
        .default(null)
        .meta({
          description:
            'Where machines reach each other: the name of a network interface, the same on each, or a network such as 10.1.0.0/16 that each has an address in. null: the name that the launcher knows a machine by, then its other addresses.',
        }),
      fanout: z
        .union([z.literal(0), z.int().min(2).max(64)])
        .default(DEFAULT_FANOUT)
        .meta({
          description:
            'Most peers with which an optimizer shard exchanges gradients and weights directly. With more, the exchange runs in levels, devices of one machine first. 0: all at once.',
          unit: 'peers',
        }),
      chunkBytes: z
        .union([z.literal('auto'), z.int().min(1).max(MAX_COUNT)])
        .default('auto')
        .meta({
          description:
            'Most bytes of rows that a gate sends to experts at a time; more go in chunks of whole grains, and experts begin with the first. auto: 2 MiB for each group of experts, and no chunks where they would double the memory of the experts’ gradients (one copy of the experts, one microbatch). Never changes the numbers.',
          unit: 'bytes',
        }),
    })
    .prefault({})
    .describe('Messages between processes.'),
  recovery: z
    .strictObject({
      losses: count(
        'Worker losses tolerated per period. Exceeding it ends the run with exit code 76; 0 tolerates none.',
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
          'State that no other worker holds is read from the newest checkpoint. Without one: true restarts the run from its first step, with the same numbers; false ends it with exit code 76.',
        ),
      buddies: z
        .boolean()
        .default(false)
        .describe(
          'Keeps a second copy of any state that only one worker holds (its slices from ZeRO 1 on; a stage, or experts, without another replica), so that a loss repeats no step. The copy is on another machine where there is one. Cost per parameter of that state: 20 bytes of memory (16 where gradients are f32) and, every step, 8 (4) bytes sent and a second update.',
        ),
      machines: choice(
        'What follows the loss of a machine that is not back within waitSeconds; with a launcher. wait: the run ends with exit code 76. spare: one that stands by takes its place. shrink: one that stands by, and else the others go on, divided anew, from the newest checkpoint.',
        ['wait', 'spare', 'shrink'],
      ).default('wait'),
      waitSeconds: real(
        'Longest wait for a lost machine; after it recovery.machines says what follows. Apart from the time of a recovery. When a run begins all machines have this long to come, and a minute at least.',
        'seconds',
        { min: 0 },
      ).default(300),
      linkSeconds: positive(
        'How long two machines that both see the lead may not reach each other. Then the one with more such links, of equal ones the higher number, counts as lost.',
        'seconds',
      ).default(30),
      leadSeconds: positive(
        'Silence of the process that leads a run after which its machines take it for lost.',
        'seconds',
      ).default(15),
    })
    .prefault({})
    .describe('What happens when a worker or a machine is lost. Never changes the numbers.'),
  eval: z
    .strictObject({
      every: count('Steps between evaluations; 0: never.', 'steps', { min: 0 }).default(50),
      batches: z
        .union([z.literal('all'), z.int().min(1)])
        .default('all')
        .meta({ description: 'Batches of held-out data in one evaluation.', unit: 'batches' }),
    })
    .prefault({})
    .describe('Evaluation on held-out data.'),
};
