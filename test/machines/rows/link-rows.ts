import { match, ok } from 'node:assert/strict';
import type { Lab } from '../lab/lab.ts';
import type { Machine } from '../lab/machine.ts';
import { emptied, LabRun } from './lab-run.ts';
import { milliseconds, pass, seconds, type Row } from './row.ts';

const STEPS = 10;
/** A step from which on a link fails: the state is not that of the start any more. */
const FAILS_AT = 4;

/** Four replicas, each state with a second copy on another machine; `waitSeconds` for a machine that is away. */
const copied = (waitSeconds: number): readonly string[] => [
  'parallel={dp: 4, ep: 2, zero: 1}',
  'recovery.buddies=true',
  `recovery.waitSeconds=${waitSeconds}`,
];

/** Devices of each of 2, 3 and 4 machines, four together. */
const devicesOf = ({ machines: { length } }: Pick<Lab, 'machines'>): readonly number[] =>
  length === 2 ? [2, 2] : length === 3 ? [2, 1, 1] : [1, 1, 1, 1];

const started = (lab: Lab, waitSeconds: number, steps = STEPS, further: readonly string[] = []): LabRun =>
  new LabRun(lab, { steps, devices: devicesOf(lab), set: [...copied(waitSeconds), ...further] });

const inMilliseconds = ({ pace: { medianMs, longestMs } }: LabRun): string =>
  `${milliseconds(medianMs)} a step, the longest ${milliseconds(longestMs)}`;

/** Links that are slow or lossy all the time: nobody is lost, and no number changes. */
const slowRow = (
  name: string,
  lab: Row['lab'],
  worsen: (lab: Lab) => Promise<void>,
  least: { readonly medianMs: number },
): Row => ({
  name: `launch over ssh: ${name}`,
  lab,
  play: async (opened) => {
    await worsen(opened);
    const run = started(opened, 60);
    await run.assertCurve(300_000);
    const { medianMs } = run.pace;
    ok(medianMs >= least.medianMs, `a step takes ${medianMs} ms`);
    const emptyMs = await emptied(opened, 10_000);
    return `the curve of one process; ${inMilliseconds(run)}; ${run.faults.length} losses; all left after ${milliseconds(emptyMs)}`;
  },
});

const slow: readonly Row[] = [
  slowRow(
    '5 ms of delay, and 2 frames in 100 lost',
    { machines: 2, delayMs: 5 },
    (lab) => lab.links.lose(lab.at(0), lab.at(1), 20_000),
    { medianMs: 20 },
  ),
  slowRow(
    '20 Mbit/s',
    { machines: 2 },
    async (lab) => {
      for (const machine of lab.machines) await lab.links.limit(machine, 20e6);
    },
    { medianMs: 1 },
  ),
];

type Cut = (lab: Lab) => Promise<void>;

const oneWay: Cut = (lab) => lab.links.cutOneWay(lab.at(0), lab.at(1));
const otherWay: Cut = (lab) => lab.links.cutOneWay(lab.at(1), lab.at(0));
const bothWays: Cut = (lab) => lab.links.cut(lab.at(0), lab.at(1));

/** Cut for longer than the silence, and then healed: the machine begins anew, and the run goes on. */
const healedRow = (name: string, cut: Cut, downSeconds: number): Row => ({
  name: `launch over ssh: a link down for ${downSeconds} s${name}`,
  lab: { machines: 2 },
  play: async (lab) => {
    const run = started(lab, 150);
    await run.step(FAILS_AT);
    await cut(lab);
    await pass(1000 * downSeconds);
    await lab.links.heal();
    await run.assertCurve(180_000);
    ok(run.faults.length > 0, 'the loss is told');
    const emptyMs = await emptied(lab, 10_000);
    return `the curve of one process; a pause of ${seconds(run.pace.longestMs)}; ${run.faults.length} losses; all left after ${milliseconds(emptyMs)}`;
  },
});

/** Waits until a run has ended as one whose machine did not come back. */
async function endsLost(
  run: LabRun,
  { names, limitMs }: { readonly names: RegExp; readonly limitMs: number },
): Promise<number> {
  const startMs = performance.now();
  const code = await run.talk.ended(limitMs);
  ok(code === 76, `it ended with ${code}: ${run.complaint}`);
  match(run.complaint, names);
  return performance.now() - startMs;
}

/** Cut for good: both sides are left empty, and the run ends with 76 and a sentence that names the machine. */
const lostRow = (name: string, cut: Cut, waitSeconds: number): Row => ({
  name: `launch over ssh: a link cut for good${name}`,
  lab: { machines: 2 },
  play: async (lab) => {
    const run = started(lab, waitSeconds, 1000);
    await run.step(FAILS_AT);
    await cut(lab);
    const farMs = await emptiedOf([lab.at(1)], 30_000);
    const tookMs = await endsLost(run, { names: /h1/u, limitMs: 1000 * waitSeconds + 60_000 });
    await emptied(lab, 10_000);
    return `the other side is empty after ${seconds(farMs)}; 76 after ${seconds(farMs + tookMs)} with a wait of ${waitSeconds} s; nothing is left`;
  },
});

/** Waits until some machines have no process of a run. */
const emptiedOf = (machines: readonly Machine[], limitMs: number): Promise<number> =>
  emptied({ machines }, limitMs);

/** Machines in two parts that do not see each other for a while, `near` with the lead. */
const splitRow = (near: number, far: number): Row => ({
  name: `launch over ssh: split ${near}|${far}`,
  lab: { machines: near + far },
  play: async (lab) => {
    const run = started(lab, 150);
    await run.step(FAILS_AT);
    const [here, there] = [lab.machines.slice(0, near), lab.machines.slice(near)];
    for (const a of here) for (const b of there) await lab.links.cut(a, b);
    const farMs = await emptiedOf(there, 30_000);
    const stepsThen = run.numSteps;
    await pass(5000);
    ok(run.numSteps === stepsThen, 'no step is done without the other machines');
    await lab.links.heal();
    await run.assertCurve(180_000);
    await emptied(lab, 10_000);
    return `the curve of one process; the side without the lead ended its processes after ${seconds(farMs)}; ${run.faults.length} losses; a pause of ${seconds(run.pace.longestMs)}`;
  },
});

/** Two machines see the lead and not each other: the later one counts as lost, each time, until the limit of losses. */
const betweenTwoRow: Row = {
  name: 'launch over ssh: a link between two machines only',
  lab: { machines: 3 },
  play: async (lab) => {
    const run = started(lab, 60, 1000, ['recovery.linkSeconds=3', 'recovery.losses=2']);
    await run.step(FAILS_AT);
    await lab.links.cut(lab.at(1), lab.at(2));
    const tookMs = await endsLost(run, { names: /machine\/2 was lost .*does not reach/u, limitMs: 180_000 });
    await emptied(lab, 10_000);
    return `76 after ${seconds(tookMs)}: ${run.lastWords}; nothing is left`;
  },
};

/** The same for a while: the machine that counted as lost is back when the link is, and the run goes on. */
const betweenTwoHealedRow: Row = {
  name: 'launch over ssh: a link between two machines only, for a while',
  lab: { machines: 3 },
  play: async (lab) => {
    const run = started(lab, 60, STEPS, ['recovery.linkSeconds=3']);
    await run.step(FAILS_AT);
    await lab.links.cut(lab.at(1), lab.at(2));
    await run.fault(/machine\/2 was lost/u, 60_000);
    await lab.links.heal();
    await run.assertCurve(180_000);
    await emptied(lab, 10_000);
    return `the curve of one process; ${run.faults.length} losses; a pause of ${seconds(run.pace.longestMs)}`;
  },
};

export const linkRows: readonly Row[] = [
  ...slow,
  healedRow('', bothWays, 60),
  healedRow(', the way from the lead', oneWay, 15),
  healedRow(', the way to the lead', otherWay, 15),
  lostRow('', bothWays, 40),
  lostRow(', the way from the lead', oneWay, 40),
  lostRow(', the way to the lead', otherWay, 40),
  splitRow(1, 1),
  splitRow(1, 2),
  splitRow(2, 2),
  betweenTwoRow,
  betweenTwoHealedRow,
];
