import test from 'ava';
import fc from 'fast-check';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { stageMachine, type StageInput } from './machine.ts';

const kinds = [
  'weights.publish',
  'batch.ready',
  'evaluation.ready',
  'step.open',
  'evaluation.open',
  'attention.forwarded',
  'attention.backwarded',
  'head.finished',
  'embedding.backwarded',
  'forward.done',
  'backward.done',
  'balance.shared',
  'attempt.abandon',
  'rows.return',
  'commit.decide',
] as const;
/** What every state accepts: weights and tokens come when they come, and an attempt can end at any time. */
const early = ['weights.publish', 'batch.ready', 'attempt.abandon'];

/** Two layers, the second one with experts. */
const input: StageInput = {
  version: 0,
  numElements: 10,
  numLayers: 2,
  numMicrobatches: 1,
  numEvaluationPasses: 2,
  moeLayers: new Set([1]),
  sharesBalance: false,
};
const weights = (version: number, elements = 10) => ({ version, body: { from: 0, to: elements } });
const open = (step: number, attempt = 1) => ({
  step,
  attempt,
  version: step - 1,
  body: { targets: 8, tokens: 8 },
});

function ready(changes: Partial<StageInput> = {}, visited = new Set<string>()): Play {
  const play = new Play(stageMachine, { ...input, ...changes }, visited);
  play.send('weights.publish', weights(0));
  return play;
}

/** One microbatch of the two layers; the state in front of each event accepts that event alone. */
const pass = [
  'attention.forwarded',
  'attention.forwarded',
  'forward.done',
  'head.finished',
  'backward.done',
  'attention.backwarded',
  'attention.backwarded',
  'embedding.backwarded',
] as const;

test('stage: a step passes by every state of training, each of which refuses what it does not wait for', (t) => {
  const visited = new Set<string>();
  const play = ready({ sharesBalance: true }, visited);
  t.deepEqual(
    acceptedOf(play, kinds, weights(0, 0)).toSorted(),
    [...early, 'evaluation.open', 'step.open'].toSorted(),
  );
  play.send('batch.ready', { step: 1 });
  const actions = [...play.send('step.open', open(1))];
  for (const type of [...pass.slice(0, 4), 'balance.shared', ...pass.slice(4)]) {
    t.deepEqual(acceptedOf(play, kinds, weights(0, 0)).toSorted(), [...early, type].toSorted(), play.state);
    actions.push(...play.send(type));
  }
  t.deepEqual(actions, [
    'open',
    'begin',
    'openPass',
    'forwardAttention',
    'forwardAttention',
    'route',
    'forwardHead',
    'shareBalance',
    'acceptBalance',
    'unroute',
    'backwardAttention',
    'sendLayer',
    'backwardAttention',
    'sendLayer',
    'backwardEmbedding',
    'sendEnds',
    'measure',
    'closePass',
  ]);
  t.is(play.state, 'waiting');

  const evaluated: string[] = [...play.send('evaluation.open', { step: 1, attempt: 1, version: 0 })];
  for (let index = 0; index < 2; index++) {
    for (const type of [
      'evaluation.ready',
      'attention.forwarded',
      'attention.forwarded',
      'forward.done',
      'head.finished',
    ]) {
      t.deepEqual(acceptedOf(play, kinds, weights(0, 0)).toSorted(), [...early, type].toSorted(), play.state);
      evaluated.push(...play.send(type));
    }
  }
  const onePass = [
    'askEvaluation',
    'acceptEvaluation',
    'forwardAttention',
    'forwardAttention',
    'route',
    'forwardHead',
    'closePass',
  ];
  t.deepEqual(evaluated, ['begin', ...onePass, ...onePass, 'reportEvaluation']);
  t.is(play.state, 'waiting');
  const passedThrough = ['nextPass', 'backward'];
  t.deepEqual([...visited, ...passedThrough].toSorted(), leafStates(stageMachine).toSorted());
});

test('stage: STG-1, a step begins when it is open, its weights are complete and its tokens are here, in any order', (t) => {
  const events = [
    { type: 'step.open', fields: open(2) },
    { type: 'weights.publish', fields: weights(1, 4) },
    { type: 'weights.publish', fields: weights(1, 6) },
    { type: 'batch.ready', fields: { step: 2, microbatch: 0 } },
    { type: 'batch.ready', fields: { step: 2, microbatch: 1 } },
  ];
  fc.assert(
    fc.property(
      fc.shuffledSubarray(events, { minLength: events.length }),
      fc.integer({ min: 0, max: 5 }),
      (order, early) => {
        const play = ready({ numMicrobatches: 2 });
        // Tokens of the step after, from a feeder that is ahead, count for nothing here.
        const all = [
          ...order.slice(0, early),
          { type: 'batch.ready', fields: { step: 3, microbatch: 0 } },
          ...order.slice(early),
        ];
        let missing = order.length;
        for (const event of all) {
          const actions = play.send(event.type, event.fields);
          if (order.includes(event)) missing--;
          if (missing > 0) t.false(actions.includes('begin'));
        }
        t.is(play.state, 'attending');
        t.like(play.context, { step: 2, version: 1, wanted: 1, layer: 0, microbatch: 0 });
      },
    ),
  );
});

test('stage: STG-2, microbatches run one after the other, each forward then backward', (t) => {
  const play = ready({ numMicrobatches: 3 });
  for (let microbatch = 0; microbatch < 3; microbatch++) play.send('batch.ready', { step: 1, microbatch });
  const seen: string[] = [];
  play.send('step.open', open(1));
  for (let microbatch = 0; microbatch < 3; microbatch++) {
    for (const type of pass) {
      t.is(play.context['microbatch'], microbatch);
      seen.push(
        ...play
          .send(type)
          .filter((action) => ['forwardHead', 'backwardEmbedding', 'measure'].includes(action)),
      );
    }
  }
  t.deepEqual(seen, [
    'forwardHead',
    'backwardEmbedding',
    'forwardHead',
    'backwardEmbedding',
    'forwardHead',
    'backwardEmbedding',
    'measure',
  ]);
  t.is(play.state, 'waiting');
});

test('stage: a replay of the step begins again with the same tokens and weights', (t) => {
  const play = ready();
  play.send('batch.ready', { step: 1 });
  play.send('step.open', open(1));
  for (const type of pass) play.send(type);
  t.is(play.state, 'waiting');
  t.true(play.send('step.open', open(1, 2)).includes('begin'));
  t.like(play.context, { step: 1, attempt: 2 });
});

test('stage: tokens of steps that are over are forgotten', (t) => {
  const play = ready();
  for (let step = 1; step <= 20; step++) {
    play.send('batch.ready', { step });
    play.send('step.open', open(step));
    if (step > 1) play.send('weights.publish', weights(step - 1));
    for (const type of pass) play.send(type);
  }
  t.true((play.context['batches'] as ReadonlyMap<number, unknown>).size <= 2);
});

test('stage: REC-1, every state leaves an abandoned attempt, keeps its tokens and waits for weights', (t) => {
  const training = [...pass.slice(0, 4), 'balance.shared', ...pass.slice(4)];
  const evaluating = ['evaluation.ready', 'attention.forwarded', 'attention.forwarded', 'forward.done'];
  const visited = new Set<string>();
  const abandons = (play: Play): void => {
    const from = play.state;
    t.deepEqual(play.send('attempt.abandon', { attempt: 4 }), ['abandon'], from);
    t.is(play.state, 'waiting', from);
    t.deepEqual(play.send('attempt.abandon', { attempt: 4 }), [], `${from}: once`);
    play.send('step.open', open(1, 4));
    t.is(play.state, 'waiting', `${from}: not before its weights are here`);
    t.true(play.send('weights.publish', weights(0)).includes('begin'), from);
    t.like(play.context, { step: 1, attempt: 4, layer: 0, microbatch: 0 });
  };
  for (let length = 0; length <= training.length; length++) {
    const play = ready({ sharesBalance: true }, visited);
    play.send('batch.ready', { step: 1 });
    if (length > 0) play.send('step.open', open(1));
    for (const type of training.slice(0, Math.max(0, length - 1))) play.send(type);
    abandons(play);
  }
  for (let length = 0; length <= evaluating.length; length++) {
    const play = ready({}, visited);
    play.send('batch.ready', { step: 1 });
    play.send('evaluation.open', { step: 0, attempt: 1, version: 0 });
    for (const type of evaluating.slice(0, length)) play.send(type);
    abandons(play);
  }
  t.deepEqual([...visited, 'nextPass', 'backward'].toSorted(), leafStates(stageMachine).toSorted());
});

test('stage: a batch that comes twice, or of a step that is computed again, is the same batch', (t) => {
  const play = ready({ numMicrobatches: 2 });
  play.send('batch.ready', { step: 1, microbatch: 0 });
  play.send('batch.ready', { step: 1, microbatch: 0 });
  play.send('step.open', open(1));
  t.is(play.state, 'waiting');
  play.send('batch.ready', { step: 1, microbatch: 1 });
  t.is(play.state, 'attending');
});
