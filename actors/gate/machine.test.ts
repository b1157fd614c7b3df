import test from 'ava';
import fc from 'fast-check';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { gateMachine } from './machine.ts';

const kinds = [
  'forward.run',
  'logits.computed',
  'candidates.computed',
  'choice.candidates',
  'thresholds.decided',
  'choice.thresholds',
  'routing.planned',
  'tokens.packed',
  'rows.return',
  'outputs.combined',
  'backward.run',
  'gradients.packed',
  'gradients.return',
  'gate.backwarded',
  'rows.dispatch',
  'step.open',
] as const;

/** Sends `types` one after the other and expects each state to accept that one kind, and what is set aside for later. */
function walk(
  t: { deepEqual: (a: unknown, b: unknown, message?: string) => boolean },
  play: Play,
  types: readonly string[],
): readonly string[] {
  return types.flatMap((type) => {
    t.deepEqual(
      acceptedOf(play, kinds).toSorted(),
      [...new Set(['forward.run', 'backward.run', type])].toSorted(),
      play.state,
    );
    return play.send(type);
  });
}

const runs = ['forward.run', 'backward.run'];

/** Of a pass, as messages of other replicas name it. */
const place = { step: 1, attempt: 0, microbatch: 0, body: { mode: 'train', slot: 0 } };
const choosing = [
  'forward.run',
  'candidates.computed',
  'choice.candidates',
  'thresholds.decided',
  'choice.thresholds',
  'routing.planned',
];

/** Choice groups of one replica, or none. */
const alone = { sharesGroups: false, numCandidates: 0, numThresholds: 0 };
/** Experts choose among sequences of three replicas. */
const shared = { numAnswers: 1, packs: false, choosesItself: false, sharesGroups: true };

test('gate: forward and backward pass by every state, each of which accepts what it waits for and nothing else', (t) => {
  const visited = new Set<string>();
  const play = new Play(gateMachine, { numAnswers: 2, packs: true, choosesItself: true, ...alone }, visited);
  t.deepEqual(
    walk(t, play, [
      'forward.run',
      'logits.computed',
      'routing.planned',
      'tokens.packed',
      'rows.return',
      'rows.return',
      'outputs.combined',
    ]),
    ['score', 'route', 'pack', 'dispatch', 'acceptRows', 'acceptRows', 'combine', 'finishForward', 'takeUp'],
  );
  t.deepEqual(
    walk(t, play, [
      'backward.run',
      'gradients.packed',
      'gradients.return',
      'gradients.return',
      'gate.backwarded',
    ]),
    [
      'weigh',
      'dispatchGradients',
      'acceptGradients',
      'acceptGradients',
      'backward',
      'finishBackward',
      'takeUp',
    ],
  );
  t.is(play.state, 'idle');
  const round = new Play(gateMachine, { ...shared, numCandidates: 1, numThresholds: 1 }, visited);
  for (const type of choosing) round.send(type, place);
  t.deepEqual([...visited].toSorted(), leafStates(gateMachine).toSorted());
});

test('gate: one rank needs no packing, the logits come first only for a gate that chooses by itself', (t) => {
  const play = new Play(gateMachine, { numAnswers: 1, packs: false, choosesItself: false, ...alone });
  t.deepEqual(play.send('forward.run'), ['route']);
  t.is(play.state, 'planning');
  t.deepEqual(play.send('routing.planned'), ['dispatch']);
  t.is(play.state, 'awaitingRows');
  t.deepEqual(play.send('rows.return'), ['acceptRows', 'combine']);
});

test('gate: rows for one rank are packed where they are rounded', (t) => {
  const play = new Play(gateMachine, { numAnswers: 1, packs: true, choosesItself: false, ...alone });
  play.send('forward.run');
  t.deepEqual(play.send('routing.planned'), ['pack']);
  t.deepEqual(play.send('tokens.packed'), ['dispatch']);
});

test('gate: GAT-1, GAT-2, the combine comes after the answer of the last rank, for any number of ranks', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), (numRanks) => {
      const play = new Play(gateMachine, {
        numAnswers: numRanks,
        packs: numRanks > 1,
        choosesItself: false,
        ...alone,
      });
      play.send('forward.run');
      play.send('routing.planned');
      if (numRanks > 1) play.send('tokens.packed');
      for (let returned = 1; returned <= numRanks; returned++) {
        const actions = play.send('rows.return', { body: { rank: numRanks - returned } });
        t.deepEqual(actions, returned === numRanks ? ['acceptRows', 'combine'] : ['acceptRows']);
      }
      play.send('outputs.combined');
      play.send('backward.run');
      play.send('gradients.packed');
      for (let returned = 1; returned <= numRanks; returned++) {
        t.deepEqual(
          play.send('gradients.return'),
          returned === numRanks ? ['acceptGradients', 'backward'] : ['acceptGradients'],
        );
      }
    }),
  );
});

test('gate: GAT-3, what is asked for another pass waits until this one is through', (t) => {
  const play = new Play(gateMachine, { numAnswers: 1, packs: false, choosesItself: false, ...alone });
  const second = { step: 1, microbatch: 1, body: { mode: 'train', slot: 1, last: false } };
  play.send('forward.run', { step: 1, microbatch: 0 });
  for (const type of runs) t.deepEqual(play.send(type, second), ['setAside']);
  t.is(play.context['microbatch'], 0);
  play.send('routing.planned');
  play.send('rows.return');
  t.deepEqual(play.send('outputs.combined'), ['finishForward', 'takeUp']);
  t.deepEqual(play.send('forward.run', second), ['route']);
  t.is(play.context['microbatch'], 1);
});

test('gate: CHO-4, choices are planned when all candidates, then all thresholds are here', (t) => {
  fc.assert(
    fc.property(fc.nat({ max: 4 }), fc.nat({ max: 4 }), (numCandidates, numThresholds) => {
      const play = new Play(gateMachine, { ...shared, numCandidates, numThresholds });
      t.deepEqual(play.send('forward.run', place), ['nominate']);
      const sent = play.send('candidates.computed', place);
      t.deepEqual(
        sent,
        numCandidates === 0 ? ['sendCandidates', 'decide'] : ['sendCandidates', 'takeUpChoices'],
      );
      for (let come = 1; come <= numCandidates; come++)
        t.deepEqual(
          play.send('choice.candidates', place),
          come === numCandidates ? ['acceptCandidates', 'decide'] : ['acceptCandidates'],
        );
      t.is(play.state, 'deciding');
      const decided = play.send('thresholds.decided', place);
      t.deepEqual(
        decided,
        numThresholds === 0 ? ['sendThresholds', 'routeChosen'] : ['sendThresholds', 'takeUpChoices'],
      );
      for (let come = 1; come <= numThresholds; come++)
        t.deepEqual(
          play.send('choice.thresholds', place),
          come === numThresholds ? ['acceptThresholds', 'routeChosen'] : ['acceptThresholds'],
        );
      t.is(play.state, 'planningChosen');
    }),
  );
});

test('gate: CHO-4, what another replica sends early, or for another pass, waits; a gate of its own groups refuses it', (t) => {
  const ahead = { ...place, microbatch: 1 };
  for (const [index, state] of [
    'idle',
    'nominating',
    'awaitingCandidates',
    'deciding',
    'awaitingThresholds',
  ].entries()) {
    const play = new Play(gateMachine, { ...shared, numCandidates: 1, numThresholds: 1 });
    for (const type of choosing.slice(0, index)) play.send(type, place);
    t.is(play.state, state);
    for (const type of ['choice.candidates', 'choice.thresholds'])
      for (const other of [ahead, { ...place, body: { mode: 'evaluate' } }, { ...place, attempt: 1 }])
        t.deepEqual(play.send(type, other), ['setAsideChoices'], `${state} ${type}`);
    t.is(play.state, state);
  }
  const local = new Play(gateMachine, { ...shared, ...alone });
  t.false(acceptedOf(local, kinds).includes('choice.candidates'));
});

test('gate: remembers the pass it was opened for', (t) => {
  const play = new Play(gateMachine, { numAnswers: 1, packs: false, choosesItself: false, ...alone });
  const place = { step: 7, attempt: 2, version: 6, microbatch: 1 };
  play.send('forward.run', { ...place, body: { mode: 'evaluate', slot: 1 } });
  t.like(play.context, { ...place, mode: 'evaluate', slot: 1 });
  play.send('routing.planned');
  play.send('rows.return');
  play.send('outputs.combined');
  play.send('backward.run', { ...place, body: { last: true, slot: 0 } });
  t.like(play.context, { ...place, mode: 'train', slot: 0, last: true });
});

test('gate: REC-1, every state leaves an abandoned attempt and is ready for the next pass', (t) => {
  const forward = [
    'forward.run',
    'logits.computed',
    'routing.planned',
    'tokens.packed',
    'rows.return',
    'rows.return',
    'outputs.combined',
  ];
  const backward = ['backward.run', 'gradients.packed', 'gradients.return', 'gradients.return'];
  const all = [...forward, ...backward];
  const visited = new Set<string>();
  for (let length = 0; length <= choosing.length; length++) {
    const play = new Play(gateMachine, { ...shared, numCandidates: 1, numThresholds: 1 }, visited);
    for (const type of choosing.slice(0, length)) play.send(type, place);
    const from = play.state;
    t.deepEqual(play.send('attempt.abandon', { attempt: 2 }), ['abandon', 'takeUp'], from);
    for (const type of choosing) play.send(type, { ...place, attempt: 2 });
    t.is(play.state, 'awaitingRows', `${from}: the choices of a whole pass follow`);
  }
  for (let length = 0; length <= all.length; length++) {
    const play = new Play(
      gateMachine,
      { numAnswers: 2, packs: true, choosesItself: true, ...alone },
      visited,
    );
    for (const type of all.slice(0, length)) play.send(type);
    const from = play.state;
    t.deepEqual(play.send('attempt.abandon', { attempt: 2 }), ['abandon', 'takeUp'], from);
    t.is(play.state, 'idle', from);
    for (const type of forward) play.send(type, { attempt: 2 });
    t.is(play.state, 'idle', `${from}: a whole pass follows`);
  }
  t.deepEqual([...visited].toSorted(), leafStates(gateMachine).toSorted());
});
