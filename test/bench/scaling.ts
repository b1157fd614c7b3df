import { resolveTopology, type ResolvedTopology } from '@troupe/topology';
import { openSimulator, type Simulation, type Simulator } from 'troupe';

/** What one device of a cluster costs in one step, beyond its arithmetic. */
export interface ScalingRow {
  readonly devices: number;
  /** Of one device in one step, mean. */
  readonly controlMessages: number;
  readonly controlBytes: number;
  readonly dataMessages: number;
  /** Events of the busiest kinds that one device's actors handle in a step, most first. */
  readonly kinds: readonly (readonly [string, number])[];
  /** Events that the trainer handles in a step. */
  readonly trainerEvents: number;
  /** Virtual time of a step. */
  readonly stepMs: number;
  /** Processor time of one simulated step, and scheduled events and turns in a second of it. */
  readonly realSeconds: number;
  readonly eventsPerSecond: number;
  readonly memoryBytes: number;
}

const DEVICES_PER_MACHINE = 8;

/** The same work for every device: one sequence, one grain, eight experts in a group of at most eight. */
export function weakDocument(devices: number, steps: number): Readonly<Record<string, unknown>> {
  const perMachine = Math.min(DEVICES_PER_MACHINE, devices);
  return {
    name: 'scaling',
    model: {
      vocab: 512,
      layers: 2,
      dModel: 64,
      heads: 2,
      seqLen: 64,
      ffn: { kind: 'swiglu', dFf: 128 },
      moe: { experts: 8, topK: 2 },
    },
    data: { synthetic: 'zipf' },
    train: { steps, batch: devices, grains: devices },
    parallel: { dp: devices, ep: perMachine, zero: 1 },
    machines: Array.from({ length: devices / perMachine }, (_, machine) => ({
      host: `host${machine}`,
      devices: Array.from({ length: perMachine }, (__, index) => `cpu:${index}`),
    })),
    checkpoint: { every: 0 },
    eval: { every: 0 },
  };
}

export const weakTopology = (devices: number, steps = 10): ResolvedTopology =>
  resolveTopology(weakDocument(devices, steps));

interface Measured {
  readonly run: Simulation;
  readonly kinds: ReadonlyMap<string, number>;
  readonly numTurns: number;
  readonly trainerTurns: number;
  readonly seconds: number;
}

async function measure(simulator: Simulator, steps: number): Promise<Measured> {
  const kinds = new Map<string, number>();
  let [numTurns, trainerTurns] = [0, 0];
  const before = process.cpuUsage();
  const run = await simulator.run(
    { seed: 1, steps, faults: [] },
    {
      observe: ({ address, event }) => {
        numTurns++;
        if (address === 'trainer') trainerTurns++;
        kinds.set(event.type, (kinds.get(event.type) ?? 0) + 1);
      },
    },
  );
  const used = process.cpuUsage(before);
  if (run.result.exitCode !== 0 || run.violation !== null)
    throw new Error(run.violation?.text ?? run.result.error?.message ?? 'a simulation failed');
  return { run, kinds, numTurns, trainerTurns, seconds: (used.user + used.system) / 1e6 };
}

/** Two runs, one a step longer: what differs is one step without start and end. */
async function benchOne(devices: number): Promise<ScalingRow> {
  const simulator = await openSimulator(weakTopology(devices), { shapesOnly: true });
  const short = await measure(simulator, 2);
  const long = await measure(simulator, 3);
  const of = (pick: (measured: Measured) => number): number => pick(long) - pick(short);
  const step = long.run.events.findLast((event) => event.event === 'step');
  const events = ({ run, numTurns }: Measured): number => run.numEvents + numTurns;
  const kinds = [...long.kinds.keys()]
    .map((kind) => [kind, of(({ kinds: each }) => each.get(kind) ?? 0) / devices] as const)
    .sort(([, a], [, b]) => b - a);
  return {
    devices,
    controlMessages: of(({ run }) => run.traffic.control.messages) / devices,
    controlBytes: of(({ run }) => run.traffic.control.bytes) / devices,
    dataMessages: of(({ run }) => run.traffic.data.messages) / devices,
    kinds: kinds.slice(0, 3),
    trainerEvents: of(({ trainerTurns }) => trainerTurns),
    stepMs: step?.event === 'step' ? (1000 * step.tokens) / step.tokensPerSecond : Number.NaN,
    realSeconds: of(({ seconds }) => seconds),
    eventsPerSecond: (events(short) + events(long)) / (short.seconds + long.seconds),
    memoryBytes: process.memoryUsage().rss,
  };
}

/** Weak scaling of the protocol, without arithmetic: every cluster has the same work for each device. */
export async function benchScaling({
  size,
}: {
  readonly size: 'small' | 'full';
}): Promise<readonly ScalingRow[]> {
  const rows: ScalingRow[] = [];
  for (const devices of size === 'small' ? [2, 8] : [8, 64, 512, 4096]) rows.push(await benchOne(devices));
  return rows;
}

export function formatScaling(rows: readonly ScalingRow[]): string {
  const lines = rows.map((row) =>
    [
      row.devices,
      row.controlMessages.toFixed(1),
      row.controlBytes.toFixed(0),
      row.dataMessages.toFixed(1),
      row.kinds.map(([kind, times]) => `${kind} ${times.toFixed(1)}`).join(', '),
      row.trainerEvents,
      row.stepMs.toFixed(2),
      // The difference of two runs: of few devices it is lost in how their starts differ.
      row.realSeconds > 0 ? row.realSeconds.toFixed(2) : '–',
      Math.round(row.eventsPerSecond).toLocaleString('en'),
      (row.memoryBytes / 1e6).toFixed(0),
    ].join(' | '),
  );
  return [
    'Simulated devices, eight a machine, one sequence each, shapes only; figures of one device and step. Homes of actors are computed from',
    'their names, so a directory holds nothing but moves and restarts. Seconds and events (scheduled ones and turns) are of processor time.',
    '',
    '| devices | control messages | control bytes | data messages | busiest events | trainer’s events | virtual step, ms | real s a step | events/s | MB |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}
