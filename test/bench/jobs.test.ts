import { fileURLToPath } from 'node:url';
import { parameterCounts, trainingFlopsPerToken } from '@troupe/spec';
import { loadTopology } from '@troupe/topology';
import test from 'ava';

/** What other engines are measured on under the same names; by hand from the sizes, not from `@troupe/spec`. */
const published = {
  coarse: { total: 30_427_392, active: 8_407_296, matmul: 6_307_840, flops: 39_419_904, tokens: 4096 },
  fine: { total: 30_476_544, active: 8_456_448, matmul: 6_356_992, flops: 39_714_816, tokens: 4096 },
  wide: { total: 213_979_648, active: 25_235_968, matmul: 21_037_056, flops: 129_368_064, tokens: 2048 },
};

for (const [name, expected] of Object.entries(published)) {
  test(`job ${name}: has the parameters, FLOPs and tokens that it has for other engines`, (t) => {
    const file = fileURLToPath(new URL(`../../../test/bench/jobs/${name}.yaml`, import.meta.url));
    const { model, train } = loadTopology(file);
    const { total, active, activeMatmul } = parameterCounts(model);
    t.deepEqual(
      {
        total,
        active,
        matmul: activeMatmul,
        flops: trainingFlopsPerToken(model),
        tokens: train.batch * model.seqLen,
      },
      expected,
    );
  });
}
