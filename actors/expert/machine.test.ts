import test from 'ava';
import fc from 'fast-check';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { expertMachine } from './machine.ts';

const kinds = [
  'weights.publish',
  'rows.dispatch',
  'experts.forwarded',
  'gradients.dispatch',
  'experts.backwarded',
  'forward.run',
  'gradient.add',
] as const;
const input = {
  version: 0,
  numElements: 10,
  numSources: 2,
  waitsForward: false,
  waitsBackward: false,
};
/** Neither weights nor room for gradients are here for good. */
const carried = { ...input, waitsForward: true, waitsBackward: true };
const weights = (version: number, elements: number) => ({ version, body: { from: 0, to: elements } });
const rows = { step: 1, attempt: 1, version: 0, microbatch: 0, body: { chunk: 0 } };

/** An expert with its first weights. */
function serving(visited = new Set<string>()): Play {
  const play = new Play(expertMachine, input, visited);
  play.send('weights.publish', weights(0, 10));
  return play;
}

test('expert: loading, gathering, forwarding, backwarding; each refuses what it does not wait for', (t) => {
  const visited = new Set<string>();
  const play = new Play(expertMachine, input, visited);
  t.is(play.state, 'loading');
  t.deepEqual(acceptedOf(play, kinds, weights(0, 0)), [
    'weights.publish',
    'rows.dispatch',
    'gradients.dispatch',
  ]);
  t.deepEqual(play.send('weights.publish', weights(0, 4)), []);
  t.is(play.state, 'loading');
  play.send('weights.publish', weights(0, 6));
  t.is(play.state, 'serving.gathering');
  t.deepEqual(acceptedOf(play, kinds, weights(0, 0)), [
    'weights.publish',
    'rows.dispatch',
    'gradients.dispatch',
  ]);
  t.deepEqual(play.send('rows.dispatch', rows), ['acceptRows']);
  t.deepEqual(play.send('rows.dispatch', rows), ['acceptRows', 'forward']);
  t.is(play.state, 'serving.forwarding');
  t.deepEqual(acceptedOf(play, kinds, weights(0, 0)), [
    'weights.publish',
    'rows.dispatch',
    'experts.forwarded',
    'gradients.dispatch',
  ]);
  t.deepEqual(play.send('experts.forwarded'), ['returnRows']);
  t.deepEqual(play.send('gradients.dispatch', rows), ['acceptGradients']);
  t.deepEqual(play.send('gradients.dispatch', rows), ['acceptGradients', 'backward']);
  t.is(play.state, 'serving.backwarding');
  t.deepEqual(acceptedOf(play, kinds, weights(0, 0)), [
    'weights.publish',
    'rows.dispatch',
    'gradients.dispatch',
    'experts.backwarded',
  ]);
  t.deepEqual(play.send('experts.backwarded'), ['returnGradients']);
  t.is(play.state, 'serving.gathering');
  t.deepEqual(play.send('experts.finish', rows), ['acceptAsker', 'computeMatrices']);
  t.is(play.state, 'serving.finishing');
  t.deepEqual(play.send('matrices.computed'), ['finish']);
  const waits = ['serving.wanting.looking', 'serving.wanting.waiting'];
  t.deepEqual([...visited, ...waits].toSorted(), leafStates(expertMachine).toSorted());
});

test('expert: EXP-1, a pass runs when all rows and its weights are here, whatever order they come in', (t) => {
  const events = [
    { type: 'rows.dispatch', fields: { ...rows, version: 1 } },
    { type: 'rows.dispatch', fields: { ...rows, version: 1 } },
    { type: 'rows.dispatch', fields: { ...rows, version: 1 } },
    { type: 'weights.publish', fields: weights(1, 3) },
    { type: 'weights.publish', fields: weights(1, 7) },
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(events, { minLength: events.length }), (order) => {
      const play = new Play(expertMachine, { ...input, numSources: 3 });
      play.send('weights.publish', weights(0, 10));
      order.forEach(({ type, fields }, index) => {
        const actions = play.send(type, fields);
        t.is(actions.filter((action) => action === 'forward').length, index === order.length - 1 ? 1 : 0);
      });
    }),
  );
});

test('expert: EXP-2, one backward pass and one answer for the gradients of every source', (t) => {
  const play = serving();
  const actions: string[] = [];
  for (let microbatch = 0; microbatch < 3; microbatch++) {
    for (const type of [
      'rows.dispatch',
      'rows.dispatch',
      'experts.forwarded',
      'gradients.dispatch',
      'gradients.dispatch',
      'experts.backwarded',
    ]) {
      actions.push(...play.send(type, { ...rows, microbatch }));
    }
  }
  for (const [action, count] of [
    ['forward', 3],
    ['returnRows', 3],
    ['backward', 3],
    ['returnGradients', 3],
    ['acceptGradients', 6],
  ] as const) {
    t.is(actions.filter((each) => each === action).length, count, action);
  }
});

test('expert: EXP-3, rows of several passes gather at once, and halves run as they become complete', (t) => {
  const play = serving();
  const second = { ...rows, microbatch: 1 };
  play.send('rows.dispatch', rows);
  t.deepEqual(play.send('rows.dispatch', second), ['acceptRows'], 'one source is a pass ahead');
  t.deepEqual(play.send('rows.dispatch', rows), ['acceptRows', 'forward']);
  t.is(play.context['microbatch'], 0);
  t.deepEqual(play.send('gradients.dispatch', rows), ['acceptGradients']);
  t.deepEqual(play.send('rows.dispatch', second), ['acceptRows']);
  t.deepEqual(play.send('experts.forwarded'), ['returnRows', 'forward']);
  t.is(play.context['microbatch'], 1);
  t.deepEqual(play.send('gradients.dispatch', rows), ['acceptGradients']);
  t.deepEqual(play.send('experts.forwarded'), ['returnRows', 'backward']);
  t.is(play.context['microbatch'], 0);
});

test('expert: EXP-5, a chunk runs when all sources have sent it, and the next one waits for its own', (t) => {
  const play = new Play(expertMachine, carried);
  play.send('weights.publish', weights(0, 10));
  const at = (chunk: number) => ({ ...rows, body: { chunk } });
  play.send('rows.dispatch', at(0));
  t.deepEqual(play.send('rows.dispatch', at(1)), ['acceptRows'], 'one source has sent both');
  t.deepEqual(play.send('rows.dispatch', at(0)), ['acceptRows', 'want']);
  t.deepEqual(play.send('segment.ready'), ['forward']);
  t.like(play.context, { chunk: 0 });
  t.deepEqual(play.send('experts.forwarded'), ['returnRows'], 'the other source has not');
  t.is(play.state, 'serving.gathering');
  t.deepEqual(play.send('rows.dispatch', at(1)), ['acceptRows', 'forward'], 'the segment is held');
  t.like(play.context, { chunk: 1 });
  t.deepEqual(play.send('experts.forwarded'), ['returnRows']);
});

test('expert: EXP-4, gradients of matrices wait for their turn', (t) => {
  const play = serving();
  for (const type of [
    'rows.dispatch',
    'rows.dispatch',
    'experts.forwarded',
    'gradients.dispatch',
    'gradients.dispatch',
  ])
    play.send(type, rows);
  play.send('experts.backwarded');
  play.send('rows.dispatch', { ...rows, microbatch: 1 });
  play.send('rows.dispatch', { ...rows, microbatch: 1 });
  t.is(play.state, 'serving.forwarding');
  t.deepEqual(play.send('experts.finish', rows), ['acceptAsker']);
  t.deepEqual(play.send('experts.forwarded'), ['returnRows', 'computeMatrices']);
  t.like(play.context, { direction: 'matrices', microbatch: 0 });
});

test('expert: an evaluation is forward passes alone', (t) => {
  const play = serving();
  for (let pass = 0; pass < 3; pass++) {
    const fields = { ...rows, microbatch: pass, body: { mode: 'evaluate', chunk: 0 } };
    t.deepEqual(play.send('rows.dispatch', fields), ['acceptRows']);
    t.deepEqual(play.send('rows.dispatch', fields), ['acceptRows', 'forward']);
    t.is(play.context['microbatch'], pass);
    t.deepEqual(play.send('experts.forwarded'), ['returnRows']);
  }
});

test('expert: REP-3, each half waits for its segment where that has to come', (t) => {
  const play = new Play(expertMachine, { ...carried, numSources: 1 });
  play.send('weights.publish', weights(0, 10));
  t.deepEqual(play.send('rows.dispatch', rows), ['acceptRows', 'want']);
  t.is(play.state, 'serving.wanting.waiting');
  t.deepEqual(play.send('rows.dispatch', { ...rows, microbatch: 1 }), ['acceptRows'], 'others still come');
  t.deepEqual(play.send('segment.ready'), ['forward']);
  t.deepEqual(play.send('experts.forwarded'), ['returnRows', 'want']);
  t.like(play.context, { microbatch: 1, direction: 'forward' });
  play.send('segment.ready');
  play.send('experts.forwarded');
  t.deepEqual(play.send('gradients.dispatch', rows), ['acceptGradients', 'want']);
  t.deepEqual(play.send('segment.ready'), ['backward']);
  const second = new Play(expertMachine, { ...carried, numSources: 1, waitsForward: false });
  second.send('weights.publish', weights(0, 10));
  t.deepEqual(second.send('rows.dispatch', rows), ['acceptRows', 'forward'], 'ZeRO 2: weights are here');
});

test('expert: REC-1, every state leaves an abandoned attempt: rows and weights come anew', (t) => {
  const all = [
    ['weights.publish', weights(0, 10)],
    ['rows.dispatch', rows],
    ['rows.dispatch', rows],
    ['experts.forwarded', {}],
    ['gradients.dispatch', rows],
    ['gradients.dispatch', rows],
    ['experts.backwarded', {}],
    ['experts.finish', rows],
  ] as const;
  const visited = new Set<string>();
  const waiting = new Play(expertMachine, carried, visited);
  for (const [type, fields] of all.slice(0, 3)) waiting.send(type, fields);
  t.is(waiting.state, 'serving.wanting.waiting');
  t.deepEqual(waiting.send('attempt.abandon', { attempt: 2 }), ['abandon']);
  for (let length = 0; length <= all.length; length++) {
    const play = new Play(expertMachine, input, visited);
    for (const [type, fields] of all.slice(0, length)) play.send(type, fields);
    const from = play.state;
    t.deepEqual(play.send('attempt.abandon', { attempt: 2 }), ['abandon'], from);
    t.is(play.state, 'loading', from);
    t.deepEqual(play.send('rows.dispatch', { ...rows, attempt: 2 }), ['acceptRows'], from);
    t.deepEqual(play.send('weights.publish', weights(0, 10)), [], from);
    t.deepEqual(play.send('rows.dispatch', { ...rows, attempt: 2 }), ['acceptRows', 'forward'], from);
  }
  t.deepEqual([...visited, 'serving.wanting.looking'].toSorted(), leafStates(expertMachine).toSorted());
});
