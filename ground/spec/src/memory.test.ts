import test from 'ava';
import { papersMemory, visitShare } from './index.ts';
import type { MemoryLayout } from './index.ts';

const layout = (over: Partial<MemoryLayout>): MemoryLayout => ({
  dense: 0,
  expert: 0,
  dp: 1,
  ep: 1,
  tp: 1,
  zero: 0,
  offload: 'none',
  ...over,
});

const z = { dense: 1e9, expert: 8e9, ep: 8, dp: 16 };

// Figures of arXiv:2109.10465 and DeepSpeed's documentation, bytes of one rank.
const checks: readonly (readonly [string, Partial<MemoryLayout>, number, number])[] = [
  ['E+D, 1B dense and 8B experts', z, 32.0e9, 0],
  ['E+Z stage 2', { ...z, zero: 2 }, 11.875e9, 0],
  ['E+Z-Off', { ...z, zero: 2, offload: 'optimizer' }, 4.0e9, 14 * (1e9 / 16 + 8e9 / 16)],
  ['E+Z stage 1', { ...z, zero: 1 }, 4e9 + 12e9 / 16 + 4e9 + (12 * 8e9) / 16, 0],
  ['E+Z stage 3', { ...z, zero: 3 }, 16 * (1e9 / 16 + 8e9 / 16), 0],
  ['400B experts over 512', { expert: 400e9, ep: 512, dp: 512 }, 12.5e9, 0],
  [
    '3.5T experts over 512, offloaded',
    { expert: 3.5e12, ep: 512, dp: 512, offload: 'optimizer' },
    13.671875e9,
    (14 * 3.5e12) / 512,
  ],
  [
    '400B experts over 64, offloaded',
    { expert: 400e9, ep: 64, dp: 64, offload: 'optimizer' },
    12.5e9,
    (14 * 400e9) / 64,
  ],
  ['15B dense, offloaded', { dense: 15e9, offload: 'optimizer' }, 30e9, 14 * 15e9],
  ['1.4B dense', { dense: 1.4e9 }, 22.4e9, 0],
  ['E+D+M, experts sliced', { ...z, tp: 4 }, 8e9, 0],
  ['E+D+M, experts whole', { ...z, tp: 4, expertsSliced: false }, 4e9 + 16e9, 0],
  ['E+Z+M', { ...z, tp: 4, zero: 2 }, 11.875e9 / 4, 0],
];

for (const [name, over, device, host] of checks) {
  test(`papersMemory: ${name}`, (t) => {
    const bytes = papersMemory(layout(over));
    t.true(Math.abs(bytes.device - device) < 1, `${bytes.device}`);
    t.true(Math.abs(bytes.host - host) < 1, `${bytes.host}`);
  });
}

test('papersMemory: 3.5T parameters need 766 GB of host memory per node of 8', (t) => {
  const { host } = papersMemory(layout({ expert: 3.5e12, ep: 512, dp: 512, offload: 'optimizer' }));
  t.is(Math.round((host * 8) / 1e9), 766);
});

test('papersMemory: what is counted adds up, and f32 alone takes 16 bytes a parameter too', (t) => {
  for (const zero of [0, 1, 2, 3] as const)
    for (const offload of ['none', 'optimizer'] as const)
      for (const accounting of ['mixed', 'f32'] as const) {
        const each = papersMemory(layout({ ...z, zero, offload }), accounting);
        t.is(each.parameters + each.gradients + each.master + each.moments, each.device + each.host);
      }
  t.is(papersMemory(layout(z), 'f32').device, papersMemory(layout(z)).device);
  t.is(papersMemory(layout({ ...z, zero: 2, offload: 'optimizer' }), 'f32').device, 4 * 2e9);
});

test('papersMemory: a buddy keeps 14 bytes of a parameter in 16-bit training, 16 in f32, where its copies lie', (t) => {
  const of = (over: Partial<MemoryLayout>, accounting: 'mixed' | 'f32' = 'mixed') =>
    papersMemory(layout({ ...z, zero: 2, ...over }), accounting);
  t.is(of({}).buddies, 0);
  t.is(of({ copied: 1e9 }).buddies, 14e9);
  t.is(of({ copied: 1e9 }, 'f32').buddies, 16e9);
  t.is(of({ copied: 1e9 }).device, of({}).device + 14e9);
  const hosted = of({ copied: 1e9, copiesOn: 'host', offload: 'optimizer' });
  t.is(hosted.device, of({ offload: 'optimizer' }).device);
  t.is(hosted.host, of({ offload: 'optimizer' }).host + 14e9);
});

test('visitShare: equals the share found by enumerating pairs of experts', (t) => {
  let visited = 0;
  let pairs = 0;
  for (let a = 0; a < 6; a++) {
    for (let b = a + 1; b < 6; b++) {
      pairs++;
      if (a < 2) visited++;
    }
  }
  t.true(Math.abs(visitShare(6, 2, 2) - visited / pairs) < 1e-15);
  t.is(visitShare(8, 8, 2), 1);
  t.is(visitShare(8, 2, 1), 0.25);
});
