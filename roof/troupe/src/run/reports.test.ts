import test from 'ava';
import { address, nodeId } from '@troupe/core';
import { Layout, resolveTopology } from '@troupe/topology';
import { mailboxCapacityOf } from '../job-system.ts';
import { reportsOf } from './reports.ts';

test('reports: who tells of which lost connection, so that every loss has one that judges it by what it is', (t) => {
  const layout = new Layout(
    resolveTopology({
      model: { layers: 1, moe: { experts: 4 } },
      train: { batch: 4, grains: 4 },
      parallel: { dp: 4, ep: 2 },
      machines: ['h0', 'h1'].map((host) => ({ host, devices: ['cpu:0', 'cpu:1'] })),
    }),
  );
  const [lead, first, second] = ['lead/0', 'agent/0', 'agent/1'].map((node) =>
    reportsOf(layout, nodeId(node)),
  );
  const of = (reports: typeof lead, node: string) => reports?.lossOf(nodeId(node)) ?? null;
  t.is(of(lead, 'agent/0'), 'link.lost', 'it would be gone itself');
  t.is(of(lead, 'agent/1'), 'worker.lost');
  t.is(of(first, 'worker/1'), 'worker.lost');
  t.is(of(first, 'worker/2'), 'link.lost', 'a shard that loads or saves');
  t.is(of(second, 'worker/2'), 'worker.lost');
  t.is(of(second, 'lead/0'), null);
  const besideStore = reportsOf(layout, nodeId('lead/0'), { storeIsBesideLead: true });
  t.is(of(besideStore, 'agent/0'), 'worker.lost', 'one like the others');
  t.is(of(besideStore, 'worker/2'), 'link.lost', 'a shard that loads or saves');
  const worker = reportsOf(layout, nodeId('worker/2'));
  t.is(worker.to, address('agent/m1'));
  t.is(of(worker, 'agent/1'), null);
  t.is(of(worker, 'agent/0'), 'link.lost');
  t.is(of(worker, 'worker/3'), 'link.lost');
});

test('mailboxCapacityOf: what may wait follows the number of machines, not that of replicas', (t) => {
  const of = (machines: number, perMachine: number, fanout = 8) => {
    const devices = Array.from({ length: perMachine }, (_, index) => `cpu:${index}`);
    const size = machines * perMachine;
    return mailboxCapacityOf(
      resolveTopology({
        model: {},
        train: { batch: size, grains: size },
        parallel: { dp: size },
        machines: { count: machines, devices },
        wire: { fanout },
      }),
    );
  };
  t.is(of(512, 2), 4096);
  t.is(of(1024, 1), 8192);
  t.is(of(2, 1024), 4096);
  t.is(of(2, 1024, 0), 16_384, 'all holders of a parameter exchange at once');
});
