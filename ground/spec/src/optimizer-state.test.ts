import test from 'ava';
import {
  OptimizerState,
  optimizerKinds,
  stateOf,
  unitCost,
  updateOf,
  type OptimizerKind,
} from './optimizer-state.ts';
import { flatLayout, type Unit } from './parameters.ts';

/** A unit of tensors one behind the other, padded to a thousand. */
function unitOf(id: string, layer: number | null, shapes: readonly (readonly number[])[]): Unit {
  let size = 0;
  const parameters = shapes.map((shape, index) => {
    const offset = size;
    const elements = shape.reduce((product, each) => product * each, 1);
    size += elements;
    const init = { kind: 'constant', value: 0 } as const;
    return { name: `${id}.${index}`, shape, size: elements, offset, init, place: null };
  });
  const place = { class: 'dense', expert: null, segment: null, peerGradient: 'whole', buffer: null } as const;
  return { id, layer, ...place, parameters, size, paddedSize: Math.ceil(size / 1000) * 1000 };
}

const units = [
  unitOf('embed', null, [[20, 10]]),
  unitOf('L0/norm1', 0, [[10]]),
  unitOf('L0/qkv', 0, [
    [10, 10],
    [30, 20],
  ]),
  unitOf('L0/gate', 0, [[4, 10]]),
];
const flat = flatLayout(units);
const whole = { from: 0, to: flat.length };
const stateIn = (kind: OptimizerKind) => new OptimizerState(flat, kind);

test('optimizer state: AdamW keeps two values an element, padding included, SGD one; both are one part', (t) => {
  for (const [kind, second] of [
    ['adamw', 4000],
    ['sgd', 0],
  ] as const) {
    const state = stateIn(kind);
    t.deepEqual(state.lengths, [4000, second]);
    t.is(state.parts.length, 1);
    t.deepEqual(state.rangeIn(0, { from: 1024, to: 2048 }), { from: 1024, to: 2048 });
    t.is(state.workOf(whole), 0);
  }
});

test('optimizer state: Muon has the matrices of blocks, AdamW the table, the norm and the router', (t) => {
  const { parts, lengths } = stateIn('muon');
  t.deepEqual(
    parts.map(({ update, from, to }) => [update, from, to]),
    [
      ['adamw', 0, 2000],
      ['muon', 2000, 2100],
      ['muon', 2100, 2700],
      ['none', 2700, 3000],
      ['adamw', 3000, 4000],
    ],
  );
  t.deepEqual(lengths, [3700, 3000]);
  t.is(stateIn('muon').workOf(whole), 2 * 600 + 2 * 20 ** 2);
  t.is(unitCost('muon', units[2]!), 4 * 10 ** 3 + 2 * 10 ** 3 + 4 * 20 ** 2 * 30 + 2 * 20 ** 3);
});

test('optimizer state: Adafactor keeps a row and a column of a matrix, with its first element, and all of a vector', (t) => {
  const state = stateIn('adafactor');
  t.deepEqual(state.lengths, [20 + 10 + 10 + 30 + 4, 10 + 10 + 20 + 10]);
  t.deepEqual(state.rangeIn(0, { from: 2000, to: 2050 }), { from: 30, to: 40 });
  t.deepEqual(state.rangeIn(0, { from: 2050, to: 2100 }), { from: 40, to: 40 });
  t.deepEqual(state.rangeIn(1, { from: 2050, to: 2101 }), { from: 20, to: 40 });
  t.deepEqual(
    state.rangeIn(0, { from: 1000, to: 1004 }),
    { from: 20, to: 24 },
    'a vector lies as its tensor does',
  );
});

test('optimizer state: whatever a buffer is cut into, states follow each other and make up the whole', (t) => {
  for (const kind of optimizerKinds) {
    const state = stateIn(kind);
    for (const array of [0, 1] as const) {
      let end = 0;
      for (let from = 0; from < flat.length; from += 70) {
        const range = state.rangeIn(array, { from, to: Math.min(flat.length, from + 70) });
        t.is(range.from, end);
        t.true(range.to >= range.from);
        end = range.to;
      }
      t.is(end, state.lengths[array]);
    }
    t.is(state.within(whole).at(-1)?.to, flat.length);
    t.deepEqual(
      state.within({ from: 2050, to: 2100 }).map(({ from, to }) => [from, to]),
      [[2050, 2100]],
    );
  }
});

test('optimizer state: checkpoints name it, each tensor with its own shape', (t) => {
  const matrix = { shape: [30, 20] };
  const names = (kind: OptimizerKind, id: string, layer: number | null, shape: readonly number[]) =>
    stateOf(updateOf(kind, { id, layer, buffer: null }, { shape }), shape).map(
      (each) => each && [each.name, ...each.shape],
    );
  t.deepEqual(names('muon', 'L0/qkv', 0, matrix.shape), [['muon-m', 30, 20], null]);
  t.deepEqual(names('muon', 'head', null, matrix.shape), [
    ['adam-m', 30, 20],
    ['adam-v', 30, 20],
  ]);
  t.deepEqual(names('adafactor', 'head', null, matrix.shape), [
    ['adafactor-row', 30],
    ['adafactor-col', 20],
  ]);
  t.deepEqual(names('adafactor', 'norm', null, [30]), [['adafactor-v', 30], null]);
  t.deepEqual(names('sgd', 'norm', null, [30]), [['sgd-v', 30], null]);
});
