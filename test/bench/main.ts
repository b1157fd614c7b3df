import { parseArgs } from 'node:util';
import { jobNames, type JobName, type Precision } from './bench-job.ts';
import { benchCapacity } from './capacity.ts';
import { capacityLine, capacitySections } from './capacity-page.ts';
import { benchEvents, formatEvents } from './events.ts';
import { benchGranularity, granularitySection } from './granularity.ts';
import { keptResults } from './kept-results.ts';
import { benchKernels, kernelSection } from './kernels.ts';
import { benchLayouts, formatLayouts } from './layouts.ts';
import { machineLines } from './machine.ts';
import { benchMemory, formatMemory } from './memory.ts';
import { benchMoe, formatMoe, YardstickError } from './moe.ts';
import { pairsMain } from './pairs-main.ts';
import { openPython, PythonError, type Python } from './python.ts';
import { writeSections, type Section } from './results-page.ts';
import { benchPrediction, formatPrediction } from './prediction.ts';
import { benchResident, formatResident } from './resident.ts';
import { benchRoofline, rooflineSection } from './roofline.ts';
import { benchScaling, formatScaling } from './scaling.ts';
import { benchSimulated, formatSimulated } from './simulated.ts';
import { benchSmallExperts } from './small-experts.ts';
import { smallExpertsSections } from './small-experts-page.ts';
import { benchStep, stepSection } from './step.ts';
import { benchWire, formatWire } from './wire.ts';

const usage = `npm run bench -- kernels | moe | small-experts | granularity | step | roofline | wire | scaling | simulated | prediction | events | memory | resident | layouts | capacity [--small]
npm run bench -- pairs --old DIR: two builds in turn; pairs --help says more
  --small             shows that it runs; writes nothing
step and kernels:
  --python PATH       a Python with torch (and transformers, deepspeed) to race against
step and roofline:
  --jobs a,b          of ${jobNames.join(', ')}; default all, of roofline coarse
step, roofline, moe and kernels:
  --precision f32,bf16  default f32
moe only:
  --yardstick DIR     a folder with build/b_mk, which takes turns with ours
capacity only:
  --devices N         of larger clusters by formula alone
  --keep FILE         writes results there as they come, and goes on with those that are there: an interrupted bench of the same build
wire, layouts, small-experts and granularity:
  --rounds N          turns of each; default 9, of layouts and granularity 3, of small-experts 7
step only:
  --only REGEX        engines whose names match
  --peers DIR         a folder with bench_peers.py, whose fastest engines run as well
  --rounds N          fresh processes of each engine; default 3, more where neighbours disturb
Example: npm run bench -- step --jobs coarse --rounds 7 --python ~/torch/bin/python
`;

interface BenchOptions {
  readonly size: 'small' | 'full';
  readonly jobs?: readonly JobName[];
  readonly precisions: readonly Precision[];
  readonly only?: RegExp;
  readonly rounds?: number;
  readonly mostDevices?: number;
  readonly keep?: string;
  readonly python: Python | null;
  readonly peers?: string;
  readonly yardstick?: string;
}

const benches = {
  kernels: async ({ size, precisions, python }: BenchOptions): Promise<readonly Section[]> => {
    const sections: Section[] = [];
    for (const precision of precisions)
      sections.push(kernelSection(await benchKernels({ size, precision, python })));
    return sections;
  },
  moe: async (options: BenchOptions): Promise<readonly Section[]> => [
    { title: 'Experts', text: formatMoe(await benchMoe(options)) },
  ],
  'small-experts': async ({ size, rounds }: BenchOptions): Promise<readonly Section[]> =>
    smallExpertsSections(await benchSmallExperts({ size, ...(rounds === undefined ? {} : { rounds }) })),
  granularity: async ({ size, rounds }: BenchOptions): Promise<readonly Section[]> => [
    granularitySection(await benchGranularity({ size, ...(rounds === undefined ? {} : { rounds }) })),
  ],
  step: async (options: BenchOptions): Promise<readonly Section[]> =>
    (await benchStep(options)).map(stepSection),
  roofline: async (options: BenchOptions): Promise<readonly Section[]> =>
    (await benchRoofline(options)).map(rooflineSection),
  wire: async ({ size, rounds }: BenchOptions): Promise<readonly Section[]> => [
    {
      title: 'Wire',
      text: formatWire(await benchWire({ size, ...(rounds === undefined ? {} : { rounds }) })),
    },
  ],
  scaling: async ({ size }: BenchOptions): Promise<readonly Section[]> => [
    { title: 'Weak scaling of the protocol', text: formatScaling(await benchScaling({ size })) },
  ],
  events: async ({ size }: BenchOptions): Promise<readonly Section[]> => [
    { title: 'Events a second of the simulator', text: formatEvents(await benchEvents({ size })) },
  ],
  simulated: async ({ size }: BenchOptions): Promise<readonly Section[]> => [
    { title: 'Simulated steps', text: formatSimulated(await benchSimulated({ size })) },
  ],
  prediction: async ({ size }: BenchOptions): Promise<readonly Section[]> => [
    { title: 'Predicted steps', text: formatPrediction(await benchPrediction({ size })) },
  ],
  resident: async ({ size }: BenchOptions): Promise<readonly Section[]> => [
    {
      title: 'Memory of a device, planned and resident',
      text: formatResident(await benchResident({ size })),
    },
  ],
  layouts: async ({ size, rounds }: BenchOptions): Promise<readonly Section[]> => [
    {
      title: 'Layouts',
      text: formatLayouts(await benchLayouts({ size, ...(rounds === undefined ? {} : { rounds }) })),
    },
  ],
  capacity: async ({ size, mostDevices, keep }: BenchOptions): Promise<readonly Section[]> =>
    capacitySections(
      await benchCapacity({
        size,
        ...(mostDevices === undefined ? {} : { mostDevices }),
        ...(keep === undefined ? {} : { kept: keptResults(keep) }),
        tell: (found) => process.stderr.write(`${capacityLine(found)}\n`),
      }),
    ),
  memory: async ({ size }: BenchOptions): Promise<readonly Section[]> => [
    { title: 'Memory of a long run', text: formatMemory(await benchMemory({ size })) },
  ],
} as const;

type BenchName = keyof typeof benches;
/** Flags besides --small that a bench takes; others are refused, so that nobody waits for what was not measured. */
const flags: Readonly<Record<BenchName, readonly string[]>> = {
  kernels: ['precision', 'python'],
  moe: ['precision', 'yardstick'],
  'small-experts': ['rounds'],
  granularity: ['rounds'],
  step: ['jobs', 'precision', 'python', 'only', 'peers', 'rounds'],
  roofline: ['jobs', 'precision'],
  wire: ['rounds'],
  scaling: [],
  events: [],
  simulated: [],
  prediction: [],
  memory: [],
  resident: [],
  layouts: ['rounds'],
  capacity: ['devices', 'keep'],
};
const isBench = (name: string | undefined): name is BenchName => name !== undefined && name in benches;

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(2);
}

/** The values of a list flag, each of which must be known. */
function chosen<T extends string>(
  flag: string,
  text: string | undefined,
  known: readonly T[],
): readonly T[] | null {
  if (text === undefined) return null;
  const isKnown = (each: string): each is T => (known as readonly string[]).includes(each);
  return text
    .split(',')
    .map((each) =>
      isKnown(each) ? each : fail(`--${flag}: found ${each}, expected some of ${known.join(', ')}`),
    );
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text, 'u');
  } catch (error) {
    return fail(`--only: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function readOptions(): Promise<{ readonly name: BenchName; readonly options: BenchOptions }> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      small: { type: 'boolean', default: false },
      jobs: { type: 'string' },
      precision: { type: 'string' },
      only: { type: 'string' },
      python: { type: 'string' },
      peers: { type: 'string' },
      yardstick: { type: 'string' },
      rounds: { type: 'string' },
      devices: { type: 'string' },
      keep: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    process.exit(0);
  }
  const [name] = positionals;
  const jobs = chosen('jobs', values.jobs, jobNames);
  if (!isBench(name) || positionals.length > 1) fail(`found ${positionals.join(' ') || 'nothing'}\n${usage}`);
  for (const flag of Object.keys(values)) {
    if (flag === 'small' || flag === 'help' || flags[name].includes(flag)) continue;
    const taken = ['small', ...flags[name]].map((each) => `--${each}`).join(', ');
    fail(`--${flag}: ${name} does not take it, expected ${taken}`);
  }
  const whole = (flag: 'rounds' | 'devices'): number | undefined => {
    const text = values[flag];
    if (text === undefined || /^[1-9]\d*$/u.test(text)) return text === undefined ? undefined : Number(text);
    return fail(`--${flag}: found ${text}, expected a positive integer`);
  };
  const [rounds, mostDevices] = [whole('rounds'), whole('devices')];
  return {
    name,
    options: {
      size: values.small ? 'small' : 'full',
      precisions: chosen('precision', values.precision, ['f32', 'bf16'] as const) ?? ['f32'],
      ...(jobs === null ? {} : { jobs }),
      python: values.python === undefined ? null : await openPython(values.python),
      ...(values.only === undefined ? {} : { only: pattern(values.only) }),
      ...(rounds === undefined ? {} : { rounds }),
      ...(mostDevices === undefined ? {} : { mostDevices }),
      ...(values.keep === undefined ? {} : { keep: values.keep }),
      ...(values.peers === undefined ? {} : { peers: values.peers }),
      ...(values.yardstick === undefined ? {} : { yardstick: values.yardstick }),
    },
  };
}

if (process.argv[2] === 'pairs') process.exit(await pairsMain(process.argv.slice(3)));
const { name, options } = await readOptions().catch((error: unknown) => {
  if (error instanceof PythonError || error instanceof TypeError) fail(error.message);
  throw error;
});
const sections = await benches[name](options).catch((error: unknown) => {
  if (error instanceof YardstickError) fail(error.message);
  throw error;
});
for (const { title, text } of sections) process.stdout.write(`## ${title}\n\n${text}\n\n`);
if (options.size === 'full') {
  const command = ['npm run bench --', ...process.argv.slice(2)].join(' ');
  const pages = await writeSections(sections, machineLines(command, options.python?.packages));
  process.stdout.write(`written to ${pages.join(', ')}\n`);
}
