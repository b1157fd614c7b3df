import test from 'ava';
import { benchResident, formatResident } from './resident.ts';

test('bench resident: a device and a host allocate what plan says, to the byte', async (t) => {
  const table = await benchResident({ size: 'small' });
  t.is(table.rows.length, 6, 'four mixtures, two of them with a host');
  for (const { mixture, node, plannedMiB, allocatedMiB } of table.rows)
    t.is(allocatedMiB, plannedMiB, `${mixture} ${node}`);
  t.regex(formatResident(table), /\| bf16, offload \| host\/0 \|/);
});
