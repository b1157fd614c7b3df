import test from 'ava';
import { diffTrajectory } from '../../trajectory.ts';
import { resolveTopology } from '../../resolve.ts';
import type { ResolvedTopology } from '../../resolved.ts';
import { decideLoss, lossEnds, type AbsentMachine, type LossAnswer, type LossQuestion } from './decide.ts';
import { firstLineup, fleetOf } from './fleet.ts';
import { neverShrinks } from './never.ts';

const model = { vocab: 257, layers: 2, dModel: 16, heads: 2, seqLen: 8, moe: { experts: 4, topK: 2 } };

const topologyOf = (over: object): ResolvedTopology =>
  resolveTopology({
    model,
    data: { synthetic: 'zipf' },
    train: { batch: 16, grains: 16 },
    launcher: { kind: 'local' },
    ...over,
  });

const four = (more: object = {}, policy = 'shrink'): ResolvedTopology =>
  topologyOf({
    machines: { count: 4, devices: ['cpu:0'], ...(policy === 'shrink' ? { min: 1 } : {}), ...more },
    parallel: { dp: 4 },
    recovery: { machines: policy },
  });

const gone = (machine: number, over: Partial<AbsentMachine> = {}): AbsentMachine => ({
  machine,
  isOverdue: true,
  hasEnded: true,
  ...over,
});

const asked = (topology: ResolvedTopology, absent: readonly AbsentMachine[], over: object = {}): LossAnswer =>
  decideLoss({
    fleet: fleetOf(topology),
    present: firstLineup(topology),
    absent,
    hasState: true,
    memoryBytes: Infinity,
    ...over,
  });

const shown = (answer: LossAnswer): string => {
  if (answer.kind === 'wait') return 'wait';
  if (answer.kind === 'end') return `${answer.reason}: ${answer.text}`;
  const hosts = answer.lineup.topology.machines.map(({ host }) => host);
  return `${answer.how} to dp ${answer.lineup.topology.parallel.dp} on ${hosts.join(' ')}: ${answer.text}`;
};

test('decideLoss: what follows a loss, by policy, by how many are left and by what is known of the others', (t) => {
  const spare = (spares: number) => four({ spares }, 'spare');
  const unknown = { hasEnded: false };
  const rows: readonly (readonly [ResolvedTopology, readonly AbsentMachine[], string, object?])[] = [
    [four(), [gone(1)], 'shrink to dp 2 on m0 m2: pp 1 × dp 2 × tp 1, ep 1 on 2 machines, without m1'],
    [
      four(),
      [gone(1, unknown)],
      'shrink to dp 2 on m0 m2: pp 1 × dp 2 × tp 1, ep 1 on 2 machines, without m1',
    ],
    [
      four(),
      [gone(0), gone(3)],
      'shrink to dp 2 on m1 m2: pp 1 × dp 2 × tp 1, ep 1 on 2 machines, without m0, m3',
    ],
    [
      four(),
      [gone(0), gone(3, unknown)],
      'half: 2 of 4 machines are left, exactly half, and nobody knows that nothing of the run is left on the others: they could go on too',
    ],
    [
      four(),
      [gone(0), gone(1), gone(3)],
      'minority: 1 of 4 machines is left, and a run goes on with more than half of them',
    ],
    [four(), [gone(1), gone(2, { isOverdue: false })], 'wait'],
    [four({}, 'wait'), [gone(1)], 'waited: recovery.machines is wait'],
    [four({ min: 3 }), [gone(1), gone(0)], 'too-few: 2 machines are left, and machines.min is 3'],
    [spare(1), [gone(2)], 'spare to dp 4 on m0 m1 m4 m3: m4 in place of m2'],
    [spare(1), [gone(2), gone(3)], 'no-spare: 2 machines lost, and 1 machine standing by'],
    [
      four({ spares: 1, min: 1 }),
      [gone(2), gone(3)],
      'shrink to dp 2 on m0 m1: pp 1 × dp 2 × tp 1, ep 1 on 2 machines, m4 among them, without m2, m3',
    ],
    [
      four(),
      [gone(1)],
      'no-state: there is no checkpoint to go on from, and recovery.fromStart is false',
      { hasState: false },
    ],
    [
      four(),
      [gone(1)],
      'no-layout: no layout on the devices that are left fits their memory, 1.00 KiB each',
      { memoryBytes: 1024 },
    ],
  ];
  for (const [topology, absent, expected, over] of rows) t.is(shown(asked(topology, absent, over)), expected);
  const seen = new Set(rows.flatMap(([, , text]) => lossEnds.filter((each) => text.startsWith(`${each}:`))));
  t.deepEqual(
    lossEnds.filter((each) => !seen.has(each)),
    [],
  );
});

test('decideLoss: one loss after another goes down to one machine, on machines that idled too, always the same run', (t) => {
  const topology = four();
  let question: LossQuestion = {
    fleet: fleetOf(topology),
    present: firstLineup(topology),
    absent: [gone(0)],
    hasState: true,
    memoryBytes: Infinity,
  };
  const hosts: string[] = [];
  for (let loss = 0; loss < 3; loss++) {
    const answer = decideLoss(question);
    if (answer.kind !== 'go on') {
      t.fail(shown(answer));
      return;
    }
    const after = resolveTopology(answer.lineup.topology.file);
    t.deepEqual(diffTrajectory(topology, after), []);
    t.is(after.recovery.machines, 'shrink');
    t.is(after.launcher?.kind, 'local');
    hosts.push(after.machines.map(({ host }) => host).join(' '));
    question = { ...question, fleet: answer.fleet, present: answer.lineup };
  }
  t.deepEqual(hosts, ['m1 m2', 'm2 m3', 'm3']);
});

test('decideLoss: a run that only waits is asked for no layout, whatever its machines are called', (t) => {
  const pods = topologyOf({
    machines: { count: 2, devices: ['cpu:0'] },
    launcher: { kind: 'kubernetes' },
    parallel: { dp: 2 },
  });
  t.regex(shown(asked(pods, [gone(1)])), /^waited: /u);
});

test('neverShrinks: a run that could go on without none of its machines is told why', (t) => {
  t.is(neverShrinks(four(), Infinity), null);
  const lone = topologyOf({
    machines: [{ devices: ['cpu:0'] }],
    recovery: { machines: 'shrink' },
  });
  t.regex(
    neverShrinks(lone, Infinity)?.rule ?? '',
    /could not go on without any of its machines: no machine is left/u,
  );
  t.is(neverShrinks({ ...lone, recovery: { ...lone.recovery, machines: 'wait' } }, Infinity), null);
  const full = topologyOf({
    machines: { count: 3, devices: ['cpu:0'], min: 2 },
    train: { batch: 12, grains: 3 },
    parallel: { dp: 3 },
    recovery: { machines: 'shrink' },
  });
  t.regex(
    neverShrinks(full, 1024)?.rule ?? '',
    /fits their memory, 1\.00 KiB each \(grains 3\); grains 6 with batch 12 divide over every number of machines down to 2/u,
  );
});
