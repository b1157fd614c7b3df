import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { TroupeError } from '@troupe/core';
import type { RelayoutEvent, RunEvent } from '@troupe/telemetry';
import { fileStorage, launch, resolveTopology, type Launch, type ResolvedTopology } from 'troupe';
import { runsAll } from '../mixtures/part.ts';
import { curve, newFolder, stretch } from './stretch.ts';

const STEPS = 12;
/** Said of each device, FLOP/s. */
const PEAK = 1e12;

const layout = (parallel: object, machines: object = [{ host: 'localhost', devices: devicesOf(parallel) }]) =>
  resolveTopology({
    model: { vocab: 64, layers: 2, dModel: 16, heads: 2, seqLen: 8, moe: { experts: 4 } },
    data: { synthetic: 'zipf' },
    train: { steps: STEPS, batch: 8, grains: 8 },
    checkpoint: { every: 0, keep: 1 },
    eval: { every: 5, batches: 1 },
    parallel,
    machines,
  });

function devicesOf({ pp = 1, dp = 1 }: { readonly pp?: number; readonly dp?: number }): readonly string[] {
  return Array.from({ length: pp * dp }, (_, index) => `cpu:${index}`);
}

const first = layout({ dp: 2, ep: 2, zero: 1 });
const wide = layout({ dp: 4, ep: 2, zero: 3 });
const deep = layout({ pp: 2, dp: 2 });

let undisturbed: Promise<string> | null = null;
const curveOf = (t: ExecutionContext): Promise<string> =>
  (undisturbed ??= newFolder(t).then(async (folder) =>
    curve(await stretch(t, first, { folder, over: 'memory', stopAfter: STEPS })),
  ));

interface Operated {
  readonly events: readonly RunEvent[];
  readonly relayouts: readonly RelayoutEvent[];
  readonly run: Launch;
  readonly folder: string;
}

/** A run to which something is done at steps. */
async function operated(
  t: ExecutionContext,
  topology: ResolvedTopology,
  at: Readonly<Record<number, (run: Launch) => unknown>>,
): Promise<Operated> {
  const folder = await newFolder(t);
  const events: RunEvent[] = [];
  let begun: (run: Launch) => void = () => {};
  const running = new Promise<Launch>((resolve) => (begun = resolve));
  const run = await launch(topology, {
    checkpoints: { storage: fileStorage(folder), folder: 'run' },
    metrics: { storage: fileStorage(folder), folder: 'run' },
    report: (event) => {
      events.push(event);
      if (event.event === 'step') void running.then((each) => at[event.step]?.(each));
    },
    logLevel: 'silent',
    peakFlops: PEAK * topology.parallel.world,
  });
  begun(run);
  const { error } = await run.result;
  t.is(error, null);
  return {
    events,
    relayouts: events.flatMap((event) => (event.event === 'relayout' ? [event] : [])),
    run,
    folder,
  };
}

const why = (id: string) => ({ id, kind: 'apply', by: 'test', what: `apply ${id}` }) as const;

/** Each step is there once, in the metrics too, with the numbers of a run that nobody touched. */
async function isUndisturbed(t: ExecutionContext, { events, folder }: Operated): Promise<void> {
  t.is(curve(events), await curveOf(t));
  const metrics = await readFile(join(folder, 'run', 'metrics.jsonl'), 'utf8');
  const steps = metrics
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent)
    .flatMap((event) => (event.event === 'step' ? [event.step] : []));
  t.deepEqual(
    steps,
    Array.from({ length: STEPS }, (_, index) => index + 1),
  );
  t.is(events.filter(({ event }) => event === 'start').length, 1);
}

const chain = runsAll ? [wide, deep, first] : [wide];

test.serial(
  'relayout: RLY-3, RLY-6, a run goes through layouts with the numbers of one that nobody touched',
  async (t) => {
    const at = Object.fromEntries(
      chain.map((next, index) => [2 + 3 * index, (run: Launch) => run.relayout(next, why(`${index}`))]),
    );
    const ended = await operated(t, first, at);
    await isUndisturbed(t, ended);
    t.deepEqual(
      ended.relayouts.map(({ id, state }) => `${id} ${state}`),
      chain.flatMap((_, index) => [`${index} open`, `${index} done`]),
    );
    // What was computed lay in a checkpoint before its processes ended: no step is computed again.
    const saved = ended.events.flatMap((event) => (event.event === 'checkpoint' ? [event.step] : []));
    for (const { step, state } of ended.relayouts) if (state === 'done') t.true(saved.includes(step));
    for (const { from, to, pauseMs, state, step } of ended.relayouts)
      if (state === 'done') t.log(`${from} → ${to} behind step ${step}: ${pauseMs?.toFixed(0)} ms`);
    t.deepEqual(ended.run.topology.parallel, (chain.at(-1) ?? first).parallel);
    // What is used of the devices is of those that there are: a step's FLOPs and tokens are the same in all layouts.
    const worlds = ended.events.flatMap((event) =>
      event.event === 'step' && event.mfu !== null ? [event.tokensPerSecond / event.mfu] : [],
    );
    const [least = 0] = worlds.toSorted((a, b) => a - b);
    const used = worlds.map((each) => Math.round((first.parallel.world * each) / least));
    t.deepEqual([...new Set(used)], [...new Set([first, ...chain].map(({ parallel }) => parallel.world))]);
  },
);

/** A port of this machine that somebody has. */
async function takenPort(t: ExecutionContext): Promise<number> {
  const server = createServer();
  t.teardown(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const place = server.address();
  return typeof place === 'object' && place !== null ? place.port : 0;
}

test.serial(
  'relayout: RLY-1, RLY-4, a layout that cannot start gives way to the one before, once',
  async (t) => {
    const port = await takenPort(t);
    const bad = resolveTopology({ ...first.file, wire: { ...first.file.wire, port } });
    const other = resolveTopology({ ...first.file, train: { ...first.file.train, seed: 5 } });
    const said: string[] = [];
    const codeOf = (error: TroupeError): string => `${error.code} ${error.message}`;
    const ended = await operated(t, first, {
      3: async (run) => {
        said.push(await run.relayout(other, why('seed')).then(String, codeOf));
        const asked = run.relayout(bad, why('bad'));
        said.push(await run.relayout(wide, why('other')).then(String, codeOf));
        const { state, problem } = await asked;
        said.push(`${state}, ${problem?.message ?? ''}`);
        said.push((await run.relayout(bad, why('bad'))).state);
      },
    });
    await isUndisturbed(t, ended);
    t.is(said.length, 4, said.join());
    t.regex(said[0] ?? '', /^TROUPE_RESUME_DIFFERS .*train\.seed is 1 .* and 5/u);
    t.regex(said[1] ?? '', /^TROUPE_RELAYOUT_BUSY 'apply bad'/u);
    t.regex(said[2] ?? '', new RegExp(`^returned, .*${port}`, 'u'));
    t.is(said[3], 'returned');
    t.deepEqual(
      ended.relayouts.map(({ state }) => state),
      ['open', 'returned'],
    );
    t.is(ended.run.topology.wire.port, 'auto');
  },
);
