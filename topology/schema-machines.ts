import * as z from 'zod';
import { limits } from './limits.ts';
import { choice, count, MAX_WORLD, text } from './schema-fields.ts';
import { speedSchema } from './schema-sim.ts';

/** `cpu:0`, `cpu:1/threads=2`, `cuda:0`. */
const devicePattern = /^(?:cpu:(?:0|[1-9]\d{0,4})(?:\/threads=[1-9]\d{0,2})?|cuda:(?:0|[1-9]\d{0,4}))$/;
const hostPattern = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)$/;

/** `eth0`, `10.1.0.0/16`, `fd00::/8`. */
export const interfacePattern =
  /^(?:[A-Za-z][A-Za-z0-9_.@-]{0,14}|\d{1,3}(?:\.\d{1,3}){3}\/\d{1,2}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\/\d{1,3})$/;

export const bodies = ['auto', 'native', 'tfjs'] as const;

const machineKeys = {
  devices: z
    .array(z.string().regex(devicePattern))
    .min(1)
    .max(MAX_WORLD)
    .describe(
      'Devices, each with a worker process of its own: cpu:0, cpu:1/threads=2 (default one thread), cuda:0.',
    ),
  body: choice('Which kernels compute here. Default: the top-level `device`.', bodies).optional(),
  speed: speedSchema.optional(),
};

const machineSchema = z.strictObject({
  host: z
    .string()
    .regex(hostPattern)
    .meta({ description: 'Name or address of the machine.' })
    .default('localhost'),
  ...machineKeys,
});

/** Machines that are alike, and of which nobody knows the names before the launcher does. */
const joiningSchema = z.strictObject({
  count: count('Machines, called m0, m1 … in the order in which the launcher lists them.', 'machines', {
    max: limits.machines,
  }),
  ...machineKeys,
  min: count(
    'With recovery.machines shrink, which needs it: fewest machines with which the run goes on. Default: count.',
    'machines',
    { max: limits.machines },
  ).optional(),
  spares: count('Machines more, that stand by and take the place of lost ones. Default: 0.', 'machines', {
    min: 0,
    max: limits.machines,
  }).optional(),
});

export const machinesSchema = z
  .union([z.array(machineSchema).min(1).max(limits.machines), joiningSchema])
  .optional()
  .describe(
    'Machines and their devices, every device with a worker process: a list of hosts, or one map with `count` for machines that are alike and come from the launcher. Default: this machine, with cpu:0, cpu:1 … as many as needed.',
  );

const sshSchema = z
  .strictObject({
    command: text(
      'How troupe is called on the other machines, as their shell reads it: `npx troupe`. Default: by the path that it has here.',
    ).optional(),
    workdir: text('Folder there in which it is called. Default: the working directory here.').optional(),
    env: z
      .record(z.string(), z.string())
      .optional()
      .describe('Environment variables of the processes there, `OMP_NUM_THREADS: "1"`. No secrets.'),
    prelude: text('Shell line that is run before it: `module load node/20`.').optional(),
  })
  .optional()
  .describe('For kind ssh.');

export const launcherSchema = z
  .strictObject({
    kind: choice(
      'What starts an agent on each machine. local: a process of this machine for each, as if they were several. ssh: the ssh of this system. slurm: steps of the allocation. dial: something else, as mpirun or torchrun, runs `troupe agent` on each, which dials machine 0. kubernetes: the pods of a job.',
      ['local', 'ssh', 'slurm', 'dial', 'kubernetes'],
    ),
    ssh: sshSchema,
  })
  .optional()
  .describe('How the machines of a run are reached. Without it all of them are this one.');
