import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import type { Turn } from '@troupe/runtime';
import type { Fault, FaultCondition } from '@troupe/sim/faults';
import {
  LoadRecorder,
  openSimulator,
  referenceOf,
  simulate,
  type Simulation,
  type SimulationOptions,
} from 'troupe';
import type { Mixture } from '../mixtures/mixture.ts';
import { mixedCluster, type Surroundings } from '../sim/clusters.ts';
import { usual } from '../sim/corpus.ts';
import { plantedBugs } from './planted-bugs.ts';
import { crash, numbersOf } from './struck-tiny.ts';
import { inPart } from '../mixtures/part.ts';

const run = (
  mixture: Partial<Mixture>,
  around: Partial<Surroundings> = {},
  options: Partial<SimulationOptions> = {},
): Promise<Simulation> => {
  const { topology, tokens } = mixedCluster(
    { ...usual, dp: 3, ep: 3, experts: 'balanced', ...mixture },
    { losses: 20, latencyMs: 0.5, ...around },
  );
  const openDevice = async () => openReferenceDevice({ dtype: 'f32' });
  return simulate(topology, { seed: 3, openDevice, tokens, checkpoints: true, ...options });
};

/** After which step experts moved, and how many of them. */
const movesOf = ({ events }: Simulation): readonly string[] =>
  events.flatMap((event) => (event.event === 'experts' ? [`${event.step}: ${event.moved}`] : []));

const recoveriesOf = ({ events }: Simulation): readonly string[] =>
  events.flatMap((event) => (event.event === 'recovered' ? [`${event.from}+${event.repeatedSteps}`] : []));

const mixtures: Readonly<Record<string, readonly [Partial<Mixture>, Partial<Surroundings>?]>> = {
  'ZeRO 0, two copies of each group': [{ dp: 6, zero: 0 }],
  'ZeRO 1, two copies, a buddy each': [{ dp: 6, zero: 1, rankOrder: 'edp-inner' }, { buddies: true }],
  'ZeRO 2, experts in segments on two tensor peers': [{ zero: 2, tp: 2, segments: 4 }],
  'ZeRO 3, two stages': [{ zero: 3, pp: 2, microbatches: 2 }, { buddies: true }],
  'experts on workers without a stage': [{ dp: 2, apart: 1, microbatches: 2 }, { buddies: true }],
  'optimizer states on a host, bf16': [
    { offload: 'optimizer', precision: 'bf16', microbatches: 2 },
    { buddies: true },
  ],
};

for (const [name, [mixture, around]] of inPart(Object.entries(mixtures), 0, 2))
  test(`moving experts: the numbers are those of experts that stay: ${name}`, async (t) => {
    const still = await run({ ...mixture, experts: 'contiguous' }, around);
    const moved = await run(mixture, around, { reference: referenceOf(still.events) });
    t.is(moved.result.error, null);
    t.is(moved.violation, null);
    t.true(movesOf(moved).length > 0);
    t.log(movesOf(moved).join(', '));
    t.deepEqual(numbersOf(moved), numbersOf(still));
  });

interface Case {
  readonly buddies: boolean;
  readonly faults: readonly Fault[];
  readonly mixture?: Partial<Mixture>;
  readonly from: readonly string[];
}

const trainerIn = (state: string): FaultCondition => ({ actor: 'trainer', state, times: 1 });

const cases: Readonly<Record<string, Case>> = {
  'while experts are on their way': {
    buddies: true,
    faults: [crash(1, trainerIn('moving'))],
    from: ['peers+0'],
  },
  'for one other worker, with what it had sent it': {
    buddies: true,
    faults: [{ kind: 'drop', target: 'worker/0,worker/1', oneWay: true, when: trainerIn('dealing') }],
    from: ['peers+0'],
  },
  'when all have come and nobody knows yet': {
    buddies: true,
    faults: [crash(1, trainerIn('recovering.abandoning'))],
    from: ['peers+0'],
  },
  'when some sit where they belong and others do not': {
    buddies: true,
    faults: [crash(2, { actor: 'optimizer/expert/dp0', state: 'draining', times: 1 })],
    from: ['peers+0'],
  },
  'before copies are filled again': {
    buddies: true,
    faults: [crash(0, trainerIn('recovering.rebuilding'))],
    from: ['peers+0'],
  },
  'twice, in both halves': {
    buddies: true,
    faults: [
      crash(1, trainerIn('moving')),
      crash(2, { actor: 'trainer', state: 'recovering.abandoning', times: 2 }),
    ],
    from: ['peers+0', 'peers+0'],
  },
  'with copies of every group elsewhere': {
    buddies: false,
    mixture: { dp: 6, zero: 0 },
    faults: [crash(4, trainerIn('recovering.abandoning'))],
    from: ['peers+0'],
  },
  'with states that nobody keeps': {
    buddies: false,
    faults: [crash(1, trainerIn('recovering.abandoning'))],
    from: ['seed+2'],
  },
  'between gathered weights': {
    buddies: true,
    mixture: { zero: 3, microbatches: 2 },
    faults: [crash(1, trainerIn('recovering.rebuilding'))],
    from: ['peers+0'],
  },
  'that holds experts alone': {
    buddies: true,
    mixture: { dp: 2, apart: 1 },
    faults: [crash(3, trainerIn('recovering.abandoning'))],
    from: ['peers+0'],
  },
  'as a host': {
    buddies: true,
    mixture: { offload: 'optimizer', microbatches: 2 },
    faults: [{ kind: 'crash', target: 'host/0', when: trainerIn('recovering.abandoning') }],
    from: ['peers+0'],
  },
};

for (const [name, { faults, mixture = {}, from, ...around }] of inPart(Object.entries(cases), 0, 2))
  test(`moving experts: a worker is lost ${name}, and no number changes`, async (t) => {
    const clean = await run(mixture, around);
    const struck = await run(mixture, around, { faults, reference: referenceOf(clean.events) });
    t.log(movesOf(clean).join(', '), '|', movesOf(struck).join(', '), '|', recoveriesOf(struck).join(', '));
    t.is(struck.struck.length, faults.length, 'the faults struck');
    t.is(struck.violation, null);
    t.is(struck.result.error, null);
    t.deepEqual(numbersOf(struck), numbersOf(clean));
    t.true(movesOf(struck).length > 0);
    t.deepEqual(recoveriesOf(struck), from);
  });

/** A link is slow while experts move over it. */
const slow: Fault = { kind: 'delay', target: 'worker/0,worker/1', when: trainerIn('dealing'), forMs: 400 };

test('moving experts: a state that changes on its way is found, and one that comes twice ends the run', async (t) => {
  t.is((await run({}, {}, { faults: [slow] })).violation, null, 'without a bug');
  const plant = (name: string) => run({}, {}, { faults: [slow], plant: plantedBugs[name] ?? {} });
  const reused = await plant('an expert reused before it was sent');
  t.is(reused.violation?.checker, 'bytes-intact');
  t.regex(reused.violation?.text ?? '', /took up experts\.state of step/u);
  const twice = await plant('an expert that comes twice');
  t.is(twice.result.error?.code, 'TROUPE_INVARIANT');
  t.regex(twice.result.error?.message ?? '', /optimizer\/expert.*a part of an expert comes once \(MOV-1\)/u);
});

test('moving experts: rows are recorded by expert, wherever each sits', async (t) => {
  const recorded = async (experts: Mixture['experts']) => {
    const { topology, tokens } = mixedCluster({ ...usual, dp: 3, ep: 3, experts }, { latencyMs: 0.5 });
    const recorder = new LoadRecorder(topology);
    const openDevice = async () => openReferenceDevice({ dtype: 'f32' });
    const observe = (turn: Turn): void => recorder.see(turn);
    const run = await simulate(topology, { seed: 3, openDevice, tokens, observe });
    return { moves: movesOf(run).length, load: recorder.load };
  };
  const [still, moved] = [await recorded('contiguous'), await recorded('balanced')];
  t.true(moved.moves > 0);
  t.deepEqual(moved.load, still.load);
});

test('moving experts: without arithmetic they lie where a recorded load deals them, and the fullest device has less to do', async (t) => {
  const simulated = async (experts: Mixture['experts']) => {
    const { topology } = mixedCluster({ ...usual, dp: 3, ep: 3, experts }, { latencyMs: 0.01 });
    const load = { counts: [[70, 60, 10, 10, 10, 20]] };
    const simulator = await openSimulator(topology, { shapesOnly: true, load });
    return simulator.run({ seed: 1, steps: 2, faults: [] });
  };
  const [still, dealt] = [await simulated('contiguous'), await simulated('balanced')];
  t.is(dealt.result.error, null);
  const fullest = ({ memory }: Simulation): number => Math.max(...memory.map(({ bytes }) => bytes));
  t.true(fullest(dealt) < fullest(still), `${fullest(dealt)}, ${fullest(still)}`);
});
