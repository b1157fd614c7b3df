import { Session } from 'node:inspector/promises';
import test from 'ava';

interface Coverage {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
}

// Blocks are counted in what is compiled from here on, so the modules under test come after it.
const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
const { composeTopology } = await import('./compose.ts');
const { TopologyError } = await import('./errors.ts');
const { formatProblem } = await import('./problem.ts');
const { matchesAddress } = await import('./placement-rules.ts');
const { resolveComposed } = await import('./resolve.ts');

/** How often blocks of topology, yaml and zod have been entered since the last call. */
async function counted(): Promise<number> {
  const { result } = (await session.post('Profiler.takePreciseCoverage')) as { result: readonly Coverage[] };
  let blocks = 0;
  for (const { url, functions } of result)
    if (/\/(?:topology\/dist|node_modules\/(?:yaml|zod))\//u.test(url))
      for (const { ranges } of functions) for (const { count } of ranges) blocks += count;
  return blocks;
}

/** Work of a call: blocks entered, which are the same on every machine however busy it is. */
async function workOf(act: () => void): Promise<number> {
  await counted();
  act();
  return counted();
}

/** Resolves a text, or reads what is wrong with it. */
function judge(files: Readonly<Record<string, string>>): void {
  const sources = {
    presetNames: [],
    presetPath: (name: string) => name,
    read: (path: string) => files[path] ?? null,
  };
  try {
    resolveComposed(composeTopology('a.yaml', sources), { path: 'a.yaml', set: [] });
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    for (const problem of error.problems.slice(0, 3)) formatProblem(problem);
  }
}

const lines = (n: number, line: (index: number) => string): string =>
  Array.from({ length: n }, (_, i) => line(i)).join('\n');

/** A file of n entries each, right or wrong. */
const files: Readonly<Record<string, (n: number) => Readonly<Record<string, string>>>> = {
  'rules that place actors': (n) => ({
    'a.yaml': `model: { layers: ${n}, moe: {} }\nplacement:\n${lines(n, (i) => `  expert/L${i}/ep0/edp0: localhost/cpu:0`)}`,
  }),
  'rules that match no actor': (n) => ({
    'a.yaml': `model: {}\nplacement:\n${lines(n, (i) => `  expert/L${i}/ep0/edp0: localhost/cpu:0`)}`,
  }),
  'rules that name no device': (n) => ({
    'a.yaml': `model: {}\nplacement:\n${lines(n, (i) => `  expert/L${i}/ep0/edp0: localhost/cpu:${i + 1}`)}`,
  }),
  'rules in a flow map': (n) => ({
    'a.yaml': `model: {}\nplacement: {\n${lines(n, (i) => `  expert/L${i}/ep0/edp0: localhost/cpu:0,`)}\n  }`,
  }),
  'rules that stand twice': (n) => ({
    'a.yaml': `model: {}\nplacement:\n${lines(n, () => '  expert/L0/ep0/edp0: localhost/cpu:0')}`,
  }),
  'rules laid over those of an extended file': (n) => ({
    'a.yaml': `extends: b.yaml\nplacement:\n${lines(n, (i) => `  expert/L${i}/ep0/edp0: localhost/cpu:0`)}`,
    'b.yaml': `model: { layers: ${n}, moe: {} }\nplacement:\n${lines(n, (i) => `  expert/L${i}/ep0/edp0: localhost/cpu:0`)}`,
  }),
  'keys that are not known': (n) => ({ 'a.yaml': `model: {}\n${lines(n, (i) => `key${i}: ${i}`)}` }),
  'merge keys': (n) => ({ 'a.yaml': `x-a: &a {}\nmodel: {\n${lines(n, () => '  <<: *a,')}\n  }` }),
  'faults at actors that do not exist': (n) => ({
    'a.yaml': `model: {}\nfaults:\n${lines(n, (i) => `  - { kind: crash, target: expert/L${i}/ep0/edp0, atStep: 1 }`)}`,
  }),
  'faults at workers': (n) => ({
    'a.yaml': `model: {}\nparallel: { dp: 256 }\ntrain: { batch: 256, grains: 256 }\nfaults:\n${lines(n, (i) => `  - { kind: crash, target: worker/${i}, atStep: 1 }`)}`,
  }),
  'faults with wrong keys': (n) => ({
    'a.yaml': `model: {}\nfaults:\n${lines(n, () => '  - { kind: crush }')}`,
  }),
  machines: (n) => ({
    'a.yaml': `model: {}\ntrain: { batch: 4096, grains: 4096 }\nmachines:\n${lines(n, (i) => `  - { host: h${i}, devices: [cpu:0] }`)}`,
  }),
  'devices of a machine': (n) => ({
    'a.yaml': `model: {}\ntrain: { batch: 4096, grains: 4096 }\nmachines:\n  - devices:\n${lines(n, (i) => `    - cpu:${i}`)}`,
  }),
  'paths of data': (n) => ({
    'a.yaml': `model: {}\ndata:\n  text:\n${lines(n, (i) => `    - file${i}.txt`)}`,
  }),
};

for (const [title, text] of Object.entries(files)) {
  test.serial(`loading: twice as many ${title} are at most twice the work`, async (t) => {
    judge(text(64));
    const work = [await workOf(() => judge(text(512))), await workOf(() => judge(text(1024)))];
    const [small = 0, large = 0] = work;
    t.log(`${small} → ${large}: × ${(large / small).toFixed(2)}`);
    t.true(small > 512, `${small} blocks`);
    t.true(large < 2.2 * small, `${small} → ${large}: × ${(large / small).toFixed(2)}`);
  });
}

test.serial('loading: the count sees work that grows with the square', async (t) => {
  const square = (n: number) => () => {
    const names = Array.from({ length: n }, (_, i) => `expert/L${i}/ep0/edp0`);
    for (const name of names) names.filter((each) => matchesAddress(name, each));
  };
  square(8)();
  const [small, large] = [await workOf(square(64)), await workOf(square(128))];
  t.true(large > 3.5 * small, `${small} → ${large}`);
});
