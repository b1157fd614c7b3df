import { faultKinds, type FaultKind } from '@troupe/sim/faults';
import * as z from 'zod';
import { limits } from './limits.ts';
import { speedPresets } from './speed-presets.ts';
import { choice, count, flag, positive, real, text } from './schema-fields.ts';

const presetNames = Object.keys(speedPresets) as [
  keyof typeof speedPresets,
  ...(keyof typeof speedPresets)[],
];

/** How fast the devices of a machine are, for `plan` and `simulate`; a launch measures nothing and needs nothing of it. */
export const speedSchema = z
  .union([
    z.enum(presetNames),
    z.strictObject({
      tflops: positive('Arithmetic speed that a device reaches.', '10^12 operations a second'),
      memoryGBps: positive('Bandwidth of its memory.', '10^9 bytes a second').optional(),
      memoryGB: positive('Size of its memory.', '10^9 bytes').optional(),
      launchMs: real('Fixed cost of starting one list of kernels.', 'milliseconds', { min: 0 }).default(0.06),
    }),
  ])
  .describe('Speed of every device of this machine: a preset, or figures; read by plan and simulate only.');

const linkSchema = (where: string, latencyMs: number, gigabytes: number) =>
  z
    .strictObject({
      latencyMs: real('Shortest time that a message travels.', 'milliseconds', { min: 0 }).default(latencyMs),
      jitterMs: real('Random extra time on top of the latency.', 'milliseconds', { min: 0 }).default(
        latencyMs,
      ),
      jitter: choice('How the extra time is drawn; exponential gives rare long delays.', [
        'uniform',
        'exponential',
      ]).default('uniform'),
      bandwidthGBps: positive(
        'Bandwidth between two workers, in one direction.',
        '10^9 bytes a second',
      ).default(gigabytes),
      loss: real('Share of packets that are lost and sent again by TCP.', 'fraction', {
        min: 0,
        max: 0.5,
      }).default(0),
    })
    .prefault({})
    .describe(where);

/** What messages cost, for `plan` and `simulate`. */
export const linksSchema = z
  .strictObject({
    inside: linkSchema('Between workers of one machine.', 0.1, 1.5),
    between: linkSchema('Between machines.', 0.2, 1.25),
  })
  .prefault({})
  .describe('What messages cost; read by plan and simulate only.');

const kindNames = faultKinds.map(({ kind }) => kind) as [FaultKind, ...FaultKind[]];

const faultSchema = z.strictObject({
  kind: choice('What goes wrong.', kindNames),
  target: text(
    'worker/1, agent/0, lead/0, machine/0, an address (expert/L0/ep0/edp0), a link worker/0,worker/1, or disk/0.',
  ),
  atMs: real('Virtual time at which the fault strikes.', 'milliseconds', { min: 0 }).optional(),
  atStep: count('The fault strikes when this step opens.', 'step').optional(),
  when: z
    .strictObject({
      actor: text('Address, or a pattern with * inside its parts.'),
      state: text('State that the actor enters: serving.forwarding, or serving for all within.'),
      times: count('On which entry the fault strikes; 1 is the first.', 'times').optional(),
    })
    .describe('The fault strikes after the turn in which an actor enters a state.')
    .optional(),
  forMs: positive('How long the fault lasts. Default: 1000.', 'milliseconds').optional(),
  restartAfterMs: real(
    'crash: how long nothing can be restarted there; -1: for the rest of the run. Default: 0.',
    'milliseconds',
    { min: -1 },
  ).optional(),
  factor: positive('slow, skew, delay, clog: by what factor. Default: 4.', 'times').optional(),
  oneWay: flag('Only from the first to the second end of a link.').optional(),
});

export const faultsSchema = z
  .array(faultSchema)
  .max(limits.faults)
  .default([])
  .describe('Faults that `troupe simulate` plays; a launch does not read them.');
