import { dropless } from './capacity.ts';
import test from 'ava';
import * as fc from 'fast-check';
import {
  blocksOfPart,
  defaultRouter,
  denseUnits,
  expertUnits,
  segmentsOf,
  type ModelConfig,
  type Parameter,
  type Unit,
} from './index.ts';

const model: ModelConfig = {
  vocab: 101,
  layers: 2,
  dModel: 8,
  heads: 8,
  kvHeads: 4,
  headDim: 2,
  mla: null,
  encoder: null,
  positions: 'rotary',
  relative: { buckets: 32, maxDistance: 128 },
  seqLen: 4,
  norm: { kind: 'layer', eps: 1e-5 },
  qkNorm: 'full',
  rope: { theta: 1e4 },
  tiedHead: false,
  init: { scale: 0.5, embedding: 1 },
  ffn: { activation: 'swiglu', dFf: 24 },
  moe: {
    every: 2,
    firstDense: 0,
    experts: 3,
    topK: 2,
    dExpert: 12,
    sharedExperts: 1,
    router: defaultRouter,
    capacity: dropless,
    norm: false,
    renormalise: true,
    choice: 'learned',
    balance: { auxLoss: 0, zLoss: 0, scope: 'sequence', layers: 'each', bias: 0, domain: 1 },
  },
};

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const wholeShape = ({ shape, place }: Parameter): readonly number[] => place?.shape ?? shape;

/** How often the parts of some units cover each element of each tensor. */
function coverage(units: readonly Unit[]): Map<string, number[]> {
  const covered = new Map<string, number[]>();
  for (const parameter of units.flatMap(({ parameters }) => parameters)) {
    const times =
      covered.get(parameter.name) ?? Array.from({ length: sizeOf(wholeShape(parameter)) }, () => 0);
    covered.set(parameter.name, times);
    for (const { firstIndex, rows, rowLength, rowStride } of blocksOfPart(parameter, {
      from: 0,
      to: parameter.size,
    }))
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < rowLength; column++) {
          const at = firstIndex + row * rowStride + column;
          times[at] = (times[at] ?? Number.NaN) + 1;
        }
  }
  return covered;
}

for (const [tp, segments] of [
  [1, 1],
  [2, 1],
  [4, 1],
  [1, 4],
  [2, 4],
] as const) {
  test(`segments: parts of tp ${tp} with ${segments} segments make up every tensor, each element once`, (t) => {
    const held = Array.from({ length: tp }, (_, rank) => segmentsOf({ tp, segments }, rank));
    const units = held.flatMap((each) => [...denseUnits(model, each), ...expertUnits(model, 1, each)]);
    const once = [...new Map(units.map((unit) => [unit.id, unit])).values()];
    for (const [name, times] of coverage(once))
      t.true(
        times.every((count) => count === 1),
        name,
      );
    const whole = [...denseUnits(model), ...expertUnits(model, 1)].flatMap(({ parameters }) => parameters);
    t.deepEqual([...coverage(once).keys()].toSorted(), whole.map(({ name }) => name).toSorted());
    const divided = once.filter(({ segment }) => segment !== null).map(({ id }) => id.split('#')[0]);
    t.is(divided.includes('L0/norm1') || divided.includes('L1/gate'), false);
    t.is(divided.includes('L1/expert2'), tp * segments > 1);
  });
}

test('segments: a head of keys and values that several peers read is a unit that all of them hold', (t) => {
  const few = { ...model, kvHeads: 2, qkNorm: 'none' } as const;
  const idsOf = (rank: number): readonly string[] =>
    denseUnits(few, segmentsOf({ tp: 4, segments: 1 }, rank))
      .filter(({ peerGradient }) => peerGradient === 'shares')
      .map(({ id }) => id);
  t.deepEqual(
    [0, 1, 2, 3].map(idsOf),
    [0, 0, 1, 1].map((head) => [`L0/kv#${head}`, `L1/kv#${head}`]),
  );
});

test('blocks of a part: any range of it is where its elements lie in the tensor', (t) => {
  const units = denseUnits(model, segmentsOf({ tp: 2, segments: 1 }, 1));
  const parameters = units.flatMap((unit) => unit.parameters);
  fc.assert(
    fc.property(fc.constantFrom(...parameters), fc.nat(), fc.nat(), (parameter, a, b) => {
      const [from, to] = [a % (parameter.size + 1), b % (parameter.size + 3)];
      const places = (range: { readonly from: number; readonly to: number }): number[] => {
        const found: number[] = [];
        for (const block of blocksOfPart(parameter, range))
          for (let element = 0; element < block.rows * block.rowLength; element++)
            found[block.at + element] =
              block.firstIndex +
              Math.floor(element / block.rowLength) * block.rowStride +
              (element % block.rowLength);
        return found;
      };
      const all = places({ from: 0, to: parameter.size });
      t.deepEqual(places({ from, to }).slice(from), all.slice(from, Math.max(from, to)));
    }),
  );
});
