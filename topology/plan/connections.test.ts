import test from 'ava';
import * as fc from 'fast-check';
import { createPlacement } from '../placement.ts';
import { portsOf } from '../ports.ts';
import { resolveTopology } from '../resolve.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { connectionProblems, planConnections, type ConnectedProcesses } from './connections.ts';
import { formatPlan } from './format.ts';
import { peersOf } from './peers.ts';
import { planTopology } from './plan.ts';
import { planLinks } from './traffic.ts';

const model = { layers: 2, dModel: 64, heads: 2, vocab: 300, seqLen: 32, moe: { experts: 12 } };

const resolved = (over: object): ResolvedTopology =>
  resolveTopology({ model, train: { batch: 48, grains: 48 }, ...over });

const kindOf = (
  topology: ResolvedTopology,
  kind: ConnectedProcesses['kind'],
): ConnectedProcesses | undefined => planConnections(topology).processes.find((each) => each.kind === kind);

test('planConnections: peers are those that links of the plan join, and who has a feeder its stages', (t) => {
  const shapes = fc.record({
    ep: fc.constantFrom(1, 2, 3),
    edp: fc.constantFrom(1, 2, 4),
    pp: fc.constantFrom(1, 2),
    tp: fc.constantFrom(1, 2),
    zero: fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const),
    buddies: fc.boolean(),
    offload: fc.constantFrom('none' as const, 'optimizer' as const),
    fanout: fc.constantFrom(0, 2, 8),
    router: fc.constantFrom({}, { kind: 'expert-choice' as const, groupSequences: 48 }),
  });
  fc.assert(
    fc.property(shapes, ({ ep, edp, pp, tp, zero, buddies, offload, fanout, router }) => {
      const topology = resolved({
        model: { ...model, moe: { experts: 12, router } },
        parallel: { dp: ep * edp, ep, pp, tp, zero, offload },
        machines: { count: pp, devices: Array.from({ length: ep * edp * tp }, (_, index) => `cpu:${index}`) },
        recovery: { buddies },
        wire: { fanout },
      });
      const placement = createPlacement(topology);
      const { layout } = placement;
      const linked = new Map<string, Set<string>>();
      const join = (from: string, to: string): void => {
        if (from === to) return;
        linked.set(from, (linked.get(from) ?? new Set()).add(to));
        linked.set(to, (linked.get(to) ?? new Set()).add(from));
      };
      for (const { from, to } of planLinks(topology, placement) ?? []) join(from, to);
      for (const worker of layout.stageWorkers())
        join(layout.nodeOf(worker), placement.nodeOf(layout.feederOf(worker)));
      for (const node of layout.nodes()) {
        const peers = [...peersOf(topology, placement, node)].sort();
        t.deepEqual(peers, [...(linked.get(layout.nodeOf(node)) ?? [])].sort());
      }
    }),
    { numRuns: 40 },
  );
});

test('planConnections: sockets and descriptors are as measured: 6 and 10 a peer', (t) => {
  const topology = resolved({
    parallel: { dp: 4, ep: 2 },
    machines: { count: 2, devices: ['cpu:0', 'cpu:1'] },
  });
  t.like(kindOf(topology, 'worker'), { count: 4, peers: 4, sockets: 27, descriptors: 100 });
  t.like(kindOf(topology, 'lead'), { count: 1, peers: 4, sockets: 27 });
  t.is(kindOf(topology, 'agent'), undefined, 'agents are in the process of the lead');
  const apart = {
    ...topology,
    launcher: { kind: 'ssh' as const, ssh: { command: null, workdir: null, env: {}, prelude: null } },
  };
  t.like(kindOf(apart, 'worker'), { peers: 5 });
  t.like(kindOf(apart, 'agent'), { count: 2, peers: 3 });
  t.like(kindOf(apart, 'lead'), { peers: 6 });
});

test('connectionProblems: too many sockets and descriptors are named with the limit; plan warns', (t) => {
  const devices = Array.from({ length: 8 }, (_, index) => `cpu:${index}`);
  const topology = resolved({
    train: { batch: 256, grains: 256 },
    machines: { count: 32, devices },
    launcher: { kind: 'slurm' },
  });
  const plan = planConnections(topology);
  const [sentence, ...others] = connectionProblems(plan, { descriptors: null });
  t.regex(
    sentence ?? '',
    /^the lead talks to 288 processes and needs 1731 sockets of at most 1023 \(ZMQ_MAX_SOCKETS\)/u,
  );
  t.is(others.length, 0);
  t.is(connectionProblems(plan, { descriptors: 2048 }).length, 2);
  t.deepEqual(connectionProblems(plan, { descriptors: 1_048_576, sockets: 4096 }), []);
  const shown = formatPlan(planTopology(topology), { limit: 2 });
  t.regex(shown, /Connections of a process, at most\n.*\n {2}lead +1 +288 +1731/u);
  t.regex(shown, /any free ports: 18 a machine, two a process/u);
  t.regex(shown, /warning: the lead talks to 288 processes/u);
  t.notRegex(formatPlan(planTopology(resolved({}))), /Connections/u);
});

test('portsOf: a machine has two for each process, from wire.port on; the rule counts as many', (t) => {
  const four = { parallel: { dp: 4, ep: 2 }, machines: { count: 2, devices: ['cpu:0', 'cpu:1'] } };
  const ports = (over: object): string =>
    [...portsOf(resolved({ ...four, ...over }))].map(([node, port]) => `${node} ${port}`).join(', ');
  t.is(ports({}), '');
  t.is(
    ports({ wire: { port: 4000 }, launcher: { kind: 'slurm' } }),
    'agent/0 4000, worker/0 4002, worker/1 4004, agent/1 4000, worker/2 4002, worker/3 4004, lead/0 4006',
  );
  t.is(
    ports({ wire: { port: 4000 }, launcher: { kind: 'local' } }),
    'agent/0 4000, worker/0 4002, worker/1 4004, agent/1 4006, worker/2 4008, worker/3 4010, lead/0 4012',
  );
  t.is(
    ports({ wire: { port: 4000 }, parallel: { dp: 4, ep: 2, offload: 'optimizer' } }),
    'lead/0 4000, worker/0 4002, worker/1 4004, worker/2 4006, worker/3 4008, host/0 4010, host/1 4012',
  );
  for (const kind of [undefined, 'local', 'slurm'] as const)
    for (const offload of ['none', 'optimizer'] as const) {
      const over = {
        ...four,
        parallel: { dp: 4, ep: 2, offload },
        ...(kind === undefined ? {} : { launcher: { kind } }),
      };
      const used = [...portsOf(resolved({ ...over, wire: { port: 1 } })).values()];
      const highest = 65_536 - Math.max(...used) - 1;
      t.notThrows(() => resolved({ ...over, wire: { port: highest } }));
      t.throws(() => resolved({ ...over, wire: { port: highest + 1 } }), { message: /ports are needed/u });
    }
});
