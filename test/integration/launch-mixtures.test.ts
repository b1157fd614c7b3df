import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadTopology, type ResolvedTopology } from 'troupe';
import { refuseUnbuilt } from '@troupe/topology';
import { hashOf } from './tiny-cluster.ts';
import { curve, newFolder, stretch } from './stretch.ts';
import { runsAll } from '../mixtures/part.ts';

/** Four layers, experts in every second one, a last step that evaluates: over real text. */
const model = [
  'model.dModel=32',
  'model.layers=4',
  'model.seqLen=16',
  'model.ffn.dFf=48',
  'model.moe.every=2',
  'model.tiedHead=true',
  'train.steps=20',
  'train.batch=8',
  'train.grains=8',
  'eval.every=4',
  'eval.batches=1',
  'checkpoint.every=0',
];

/** One way to divide the work. */
interface Row {
  readonly pp?: number;
  readonly dp?: number;
  readonly tp?: number;
  readonly ep?: number;
  /** Workers without a stage, a group of experts each. */
  readonly apart?: number;
  readonly microbatches?: number;
  /** Further keys of `parallel`. */
  readonly parallel?: string;
  /** Most bytes of rows that travel at a time. */
  readonly chunkBytes?: number;
}

const rows: readonly Row[] = [
  { dp: 2, ep: 2, parallel: 'zero: 1', chunkBytes: 4096 },
  { pp: 2, dp: 2, ep: 2, microbatches: 2, parallel: 'zero: 1', chunkBytes: 4096 },
  { pp: 4, microbatches: 4, parallel: 'zero: 0' },
  { pp: 2, dp: 2, microbatches: 2, parallel: 'zero: 3, pipeline: gpipe' },
  { dp: 2, microbatches: 2, parallel: 'zero: 2' },
  { pp: 2, dp: 2, ep: 2, microbatches: 4, parallel: 'zero: 2, pipeline: interleaved, chunks: 2' },
  {
    pp: 2,
    dp: 2,
    ep: 2,
    microbatches: 2,
    parallel: 'zero: 3, rankOrder: edp-inner, experts: [[2, 0], [1, 3]]',
  },
  { pp: 2, microbatches: 4, parallel: 'pipeline: zero-bubble' },
  { dp: 2, microbatches: 2, parallel: 'zero: 2, offload: optimizer' },
];

/** Tensor ranks with experts in parts, whole and elsewhere. */
const divided: readonly Row[] = [
  { tp: 2, parallel: 'zero: 1' },
  // One grain a microbatch: one of the peers has none.
  { tp: 2, microbatches: 8, parallel: 'zero: 0, expertsSliced: false' },
  { tp: 2, ep: 2, apart: 2, microbatches: 2, parallel: 'zero: 2', chunkBytes: 4096 },
  { pp: 2, dp: 2, ep: 2, microbatches: 2 },
];

/** What all rows of a chain have in common. */
interface Common {
  readonly precision: 'f32' | 'bf16';
  /** `train.tensorSegments`. Default 1. */
  readonly segments?: 1 | 2;
}

function topologyOf(
  { pp = 1, dp = 1, tp = 1, ep = 1, apart = 0, microbatches = 1, parallel, chunkBytes }: Row,
  { precision, segments = 1 }: Common,
): ResolvedTopology {
  const stages = pp * dp * tp;
  const devices = Array.from({ length: stages + apart }, (_, index) => `"cpu:${index}"`).join(', ');
  const placement = Array.from(
    { length: apart },
    (_, index) => `"expert/*/ep${index}/*": "localhost/cpu:${stages + index}"`,
  );
  const division = `pp: ${pp}, dp: ${dp}, tp: ${tp}, ep: ${ep}${parallel === undefined ? '' : `, ${parallel}`}`;
  return loadTopology('tiny', {
    set: [
      ...model,
      `train.precision=${precision}`,
      `train.tensorSegments=${segments}`,
      `train.microbatches=${microbatches}`,
      `parallel={${division}}`,
      `machines=[{host: localhost, devices: [${devices}]}]`,
      `placement={${placement.join(', ')}}`,
      ...(chunkBytes === undefined ? [] : [`wire.chunkBytes=${chunkBytes}`]),
    ],
  });
}

const weightsOf = async (folder: string, step: number): Promise<string> =>
  hashOf([
    await readFile(join(folder, 'run', `step-${String(step).padStart(6, '0')}`, 'weights.safetensors')),
  ]);

/** A run that changes its mixture at every checkpoint has the curve and the last weights of one process. */
async function chain(
  t: ExecutionContext,
  mixtures: readonly Row[],
  { over, ...common }: Common & { readonly over: 'memory' | 'ZeroMQ' },
): Promise<void> {
  const built = mixtures.filter((row) => refuseUnbuilt(topologyOf(row, common)).length === 0);
  t.true(3 * built.length >= 2 * mixtures.length, 'most mixtures run');
  const [each, steps] = [2, 2 * built.length];
  const whole = await newFolder(t);
  const alone = topologyOf({}, common);
  const expected = await stretch(t, alone, { folder: whole, over: 'memory', stopAfter: steps });
  const folder = await newFolder(t);
  const found = [];
  for (const [index, row] of built.entries())
    found.push(
      ...(await stretch(t, topologyOf(row, common), {
        folder,
        over,
        stopAfter: (index + 1) * each,
        ...(index === 0 ? {} : { from: index * each }),
      })),
    );
  t.is(curve(found), curve(expected));
  t.is(await weightsOf(folder, steps), await weightsOf(whole, steps));
}

test.serial(
  'mixtures: over ZeroMQ, each goes on from the checkpoint of the one before, with the curve of one process',
  (t) => chain(t, rows, { precision: 'f32', over: 'ZeroMQ' }),
);

(runsAll ? test.serial : test.serial.skip)(
  'mixtures: over ZeroMQ, tensor ranks with experts in parts, whole and elsewhere: the curve of one process',
  (t) => chain(t, divided, { precision: 'f32', segments: 2, over: 'ZeroMQ' }),
);

(runsAll ? test.serial : test.serial.skip)('mixtures: the other way round, in memory', (t) =>
  chain(t, rows.toReversed(), { precision: 'f32', over: 'memory' }),
);

(runsAll ? test.serial : test.serial.skip)('mixtures: in bf16', (t) =>
  chain(t, rows, { precision: 'bf16', over: 'memory' }),
);
