import { deepStrictEqual, ok } from 'node:assert/strict';
import { Capture } from '../lab/capture.ts';
import type { Lab } from '../lab/lab.ts';
import { spoken } from '../lab/spoken.ts';
import { emptied, LabRun } from './lab-run.ts';
import { milliseconds, pass, seconds, type Row } from './row.ts';

const STEPS = 10;

interface Layout {
  readonly name: string;
  readonly machines: number;
  readonly set: readonly string[];
}

const layouts: readonly Layout[] = [
  {
    name: 'zero 1 with buddies',
    machines: 2,
    set: ['parallel={dp: 4, ep: 2, zero: 1}', 'recovery.buddies=true'],
  },
  { name: 'zero 3', machines: 2, set: ['parallel={dp: 4, ep: 4, zero: 3}'] },
  { name: 'pp 2 × dp 2', machines: 2, set: ['parallel={pp: 2, dp: 2, ep: 2}'] },
  { name: 'the optimizer in host memory', machines: 2, set: ['parallel={dp: 4, ep: 2, offload: optimizer}'] },
  {
    name: 'experts on a machine without a stage',
    machines: 3,
    set: [
      'parallel={dp: 4, ep: 2}',
      'placement={"stage/*/dp0/*": h0/cpu:0, "stage/*/dp1/*": h0/cpu:1, "stage/*/dp2/*": h1/cpu:0, "stage/*/dp3/*": h1/cpu:1, "expert/*/ep0/*": h2/cpu:0, "expert/*/ep1/*": h2/cpu:1}',
    ],
  },
];

/** Plays a run to its end, which is that of one process, and looks that nothing is left. */
async function whole(lab: Lab, run: LabRun): Promise<string> {
  await run.assertCurve();
  deepStrictEqual(run.faults, []);
  const emptyMs = await emptied(lab, 5000);
  const { medianMs, longestMs } = run.pace;
  return `${STEPS} steps as in one process; ${milliseconds(medianMs)} a step, the longest ${milliseconds(longestMs)}; all left after ${milliseconds(emptyMs)}`;
}

const layoutRow = ({ name, machines, set }: Layout): Row => ({
  name: `launch over ssh: ${name}`,
  lab: { machines },
  play: (lab) => whole(lab, new LabRun(lab, { steps: STEPS, set })),
});

/** What a state that lives on two machines is: each has a second copy on the other one. */
const twice = ['parallel={dp: 4, ep: 2, zero: 1}', 'recovery.buddies=true', 'recovery.waitSeconds=60'];

/** A link that is down for a while: a short time loses nothing, a longer one the machine, whose next agent meets no other one. */
const downRow = (downSeconds: number): Row => ({
  name: `launch over ssh: a link down for ${downSeconds} s`,
  lab: { machines: 2 },
  play: async (lab) => {
    const run = new LabRun(lab, { steps: STEPS, set: twice });
    await run.step(4);
    await lab.links.cut(lab.at(0), lab.at(1));
    await pass(1000 * downSeconds);
    await lab.links.heal();
    await run.assertCurve();
    const { longestMs } = run.pace;
    const emptyMs = await emptied(lab, 5000);
    return `the curve of one process; a pause of ${seconds(longestMs)}; ${run.faults.length} losses; all left after ${milliseconds(emptyMs)}`;
  },
});

const disturbances: readonly Row[] = [
  {
    name: 'launch over ssh: a machine loses power and comes back',
    lab: { machines: 2, sharedDisk: true },
    play: async (lab) => {
      const run = new LabRun(lab, { steps: STEPS, set: twice, isShared: true });
      const lostMs = await run.step(4);
      const machine = lab.at(1);
      await lab.powerOff(machine);
      await pass(2000);
      await lab.powerOn(machine);
      await run.assertCurve();
      ok(run.faults.length > 0, 'the loss is told');
      const { medianMs, longestMs } = run.pace;
      const emptyMs = await emptied(lab, 5000);
      return `the curve of one process; a pause of ${seconds(longestMs)} (${milliseconds(medianMs)} a step else, 2 s without power from ${seconds(lostMs - (run.talk.said[0]?.atMs ?? 0))} on); all left after ${milliseconds(emptyMs)}`;
    },
  },
  ...[3, 20].map(downRow),
  {
    name: 'launch over ssh: who launched it is killed, and nothing is left',
    lab: { machines: 3 },
    play: async (lab) => {
      const run = new LabRun(lab, {
        steps: 1000,
        set: ['parallel={dp: 6, ep: 2}', 'train.batch=12', 'train.grains=12'],
      });
      await run.step(3);
      run.talk.end();
      return `no process on any of three machines after ${milliseconds(await emptied(lab, 10_000))}`;
    },
  },
  {
    name: 'launch over ssh: the machine that launched it loses power, and nothing is left on another one',
    lab: { machines: 2 },
    play: async (lab) => {
      const run = new LabRun(lab, { steps: 1000, set: twice });
      await run.step(3);
      await lab.powerOff(lab.at(0));
      const tookMs = await emptied(lab, 15_000);
      run.talk.end();
      return `no process of it after ${seconds(tookMs)}, without a word from the lead`;
    },
  },
  {
    name: 'launch over ssh: what passes is not read',
    lab: { machines: 2 },
    play: async (lab) => {
      const capture = await Capture.open(lab);
      await new LabRun(lab, { steps: STEPS, set: twice }).assertCurve();
      const inClear = await seenInClear(lab, capture);
      await capture.end();
      const bytes = capture.frames.reduce((sum, frame) => sum + frame.length, 0);
      for (const text of secrets)
        deepStrictEqual(capture.frames.filter((frame) => frame.includes(text)).length, inClear, text);
      return `${capture.frames.length} frames, ${(bytes / 1e6).toFixed(1)} MB: none holds an address, a message or a text of the corpus in clear (${inClear} do of the same text without keys)`;
    },
  },
];

/** What is in packets of a run: addresses, kinds of messages, keys of a hello; and in its data. */
const secrets = ['optimizer/', 'expert/L0', 'commit.', 'incarnation', 'publicKey', 'the stage has'] as const;
const PLAIN_PORT = 7000;
const listener = `require('net').createServer((s) => s.resume()).listen(${PLAIN_PORT}, () => console.log('up'))`;

/** The same texts in clear, so that a capture that sees nothing is noticed; how many frames hold them. */
async function seenInClear(lab: Lab, capture: Capture): Promise<number> {
  const plain = lab.at(1).start([process.execPath, '-e', listener]);
  await spoken(plain.stdout, 'up');
  const sentence = secrets.join(' ');
  await lab.at(0).run(['bash', '-c', `echo "$0" > /dev/tcp/h1/${PLAIN_PORT}`, sentence]);
  ok(await capture.saw(sentence), 'the capture sees what is in clear');
  plain.kill('SIGKILL');
  return capture.frames.filter((frame) => frame.includes(sentence)).length;
}

export const runRows: readonly Row[] = [...layouts.map(layoutRow), ...disturbances];
