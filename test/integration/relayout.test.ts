import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RelayoutEvent, RunEvent } from '@troupe/telemetry';
import { fileStorage, launch, resolveTopology, type Launch, type ResolvedTopology } from 'troupe';
import { runsAll } from '../mixtures/part.ts';
import { curve, newFolder, stretch } from './stretch.ts';

const STEPS = 12;

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
    peakFlops: null,
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

test.serial(
  'relayout: RLY-3, RLY-6, a run goes through layouts with the numbers of one that nobody touched',
  async (t) => {
    const chain = [wide, deep, ...(runsAll ? [first] : [])];
    let step = 2;
    const at: Record<number, (run: Launch) => unknown> = {};
    for (const [index, next] of chain.entries()) {
      at[step] = (run) => run.relayout(next, why(`${index}`));
      step += 3;
    }
    const ended = await operated(t, first, at);
    await isUndisturbed(t, ended);
    t.deepEqual(
      ended.relayouts.map(({ id, state }) => `${id} ${state}`),
      chain.flatMap((_, index) => [`${index} open`, `${index} done`]),
    );
    for (const { from, to, pauseMs, state, step: last } of ended.relayouts)
      if (state === 'done') t.log(`${from} → ${to} behind step ${last}: ${pauseMs?.toFixed(0)} ms`);
    t.deepEqual(ended.run.topology, chain.at(-1) ?? first);
  },
);
