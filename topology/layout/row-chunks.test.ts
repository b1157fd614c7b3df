import test from 'ava';
import fc from 'fast-check';
import { resolveTopology } from '../resolve.ts';
import { rowChunks, type RowChunkSource } from './row-chunks.ts';

const { model } = resolveTopology({
  model: {
    vocab: 32,
    layers: 2,
    dModel: 16,
    heads: 2,
    seqLen: 8,
    ffn: { kind: 'swiglu', dFf: 24 },
    moe: { experts: 4, topK: 2 },
  },
  data: { synthetic: 'zipf' },
});

/** Eight sequences in four grains, two groups: rows of 8 KiB. */
const source = {
  model,
  sequences: 8,
  grains: 4,
  peers: 1,
  groups: 2,
  isElsewhere: true,
  isFinished: false,
  wire: { dtype: 'f32', chunkBytes: 2 ** 20 },
} as const;
const of = (over: Partial<RowChunkSource>): number => rowChunks({ ...source, ...over });

test('row chunks: as few as keep each within its bytes, at most one a grain', (t) => {
  t.is(of({}), 1);
  t.is(of({ wire: { chunkBytes: 2 ** 13 } }), 1);
  t.is(of({ wire: { chunkBytes: 2 ** 13 - 1 } }), 2);
  t.is(of({ wire: { chunkBytes: 2 ** 11 } }), 4);
  t.is(of({ wire: { chunkBytes: 1 } }), 4);
  t.is(of({ wire: { chunkBytes: 2 ** 12, dtype: 'bf16' } }), 1, 'two bytes an element');
  t.is(of({ wire: { chunkBytes: 2 ** 12 }, groups: 4 }), 2, 'a token visits two groups at most');
  t.is(of({ wire: { chunkBytes: 2 ** 12 }, groups: 1 }), 1);
});

test('row chunks: tensor peers with whole experts send some of the grains each', (t) => {
  const wire = { chunkBytes: 2 ** 11 };
  t.is(of({ wire, peers: 2 }), 2);
  t.is(of({ wire, grains: 8, peers: 3 }), 2, 'a peer has at most three of eight');
  t.is(of({ wire: { chunkBytes: 1 }, peers: 8 }), 1, 'or none');
});

test('row chunks: one where nobody is elsewhere, and without experts', (t) => {
  const wire = { chunkBytes: 1 };
  t.is(of({ wire, isElsewhere: false }), 1);
  t.is(of({ wire, model: { ...model, moe: null } }), 1);
  t.is(of({ wire: {}, isElsewhere: false }), 1);
});

test('row chunks: auto: two MiB a group, and none where they would double the memory of gradients', (t) => {
  const large = { sequences: 2 ** 13, grains: 64 };
  // 8 MiB of rows for two groups.
  for (const chunkBytes of ['auto', undefined] as const) {
    const wire = chunkBytes === undefined ? {} : { chunkBytes };
    t.is(of({ ...large, wire }), 2);
    t.is(of({ ...large, wire, groups: 4 }), 1);
    t.is(of({ ...large, wire, isFinished: true }), 1);
  }
  t.is(of({ ...large, wire: { chunkBytes: 2 ** 22 }, isFinished: true }), 2, 'who asks for them has them');
});

test('row chunks: smaller chunks are never fewer', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 2 ** 20 }),
      fc.integer({ min: 1, max: 2 ** 20 }),
      (grains, a, b) => {
        const [small, large] = [Math.min(a, b), Math.max(a, b)];
        const count = (chunkBytes: number): number =>
          of({ wire: { chunkBytes }, grains, sequences: 2 * grains });
        t.true(count(small) >= count(large));
        t.true(count(small) >= 1 && count(small) <= grains);
      },
    ),
  );
});
