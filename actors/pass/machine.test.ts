import test from 'ava';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { passMachine, type PassInput } from './machine.ts';

const kinds = [
  'pass.forward',
  'pass.backward',
  'attention.forwarded',
  'forward.done',
  'head.finished',
  'backward.done',
  'attention.backwarded',
  'embedding.backwarded',
  'matrices.run',
  'matrices.computed',
  'experts.finished',
  'attempt.abandon',
  'weights.publish',
  'batch.ready',
] as const;

/** A whole model of two layers, the second one with experts. */
const whole: PassInput = {
  firstLayer: 0,
  lastLayer: 1,
  moeLayers: new Set([1]),
  hasEmbedding: true,
  hasHead: true,
  evaluates: false,
  waits: false,
  isDivided: false,
  recomputes: false,
  defersMatrices: false,
  expertLayers: [1],
};
const begin = { step: 1, attempt: 1, version: 0, microbatch: 2 };
const last = { ...begin, body: { last: true } };
const forward = ['attention.forwarded', 'attention.forwarded', 'forward.done'] as const;
const backward = ['backward.done', 'attention.backwarded', 'attention.backwarded'] as const;

const sent = (play: Play, types: readonly string[]): readonly string[] =>
  types.flatMap((type) => play.send(type));

test('pass: forward and backward of a whole model, each state refuses what it does not wait for', (t) => {
  const visited = new Set<string>();
  const play = new Play(passMachine, whole, visited);
  t.deepEqual(acceptedOf(play, kinds, last), [
    'pass.forward',
    'pass.backward',
    'matrices.run',
    'attempt.abandon',
  ]);
  const actions = [...play.send('pass.forward', begin)];
  for (const type of forward) {
    t.deepEqual(acceptedOf(play, kinds).toSorted(), [type, 'attempt.abandon'].toSorted(), play.state);
    actions.push(...play.send(type));
  }
  t.is(play.state, 'idle');
  actions.push(...play.send('pass.backward', last));
  for (const type of ['head.finished', ...backward, 'embedding.backwarded']) {
    t.deepEqual(acceptedOf(play, kinds).toSorted(), [type, 'attempt.abandon'].toSorted(), play.state);
    actions.push(...play.send(type));
  }
  t.deepEqual(actions, [
    'forwardAttention',
    'forwardAttention',
    'route',
    'finishForward',
    'backwardHead',
    'unroute',
    'backwardAttention',
    'holdLayer',
    'sendHeld',
    'backwardAttention',
    'holdLayer',
    'backwardEmbedding',
    'holdEmbedding',
    'sendHeld',
    'finishBackward',
  ]);
  t.is(play.state, 'idle');
  t.like(play.context, { ...begin, last: true });
  const waits = ['wanting.looking', 'wanting.waiting'];
  const transient = [
    'leaving',
    'joining',
    'backward',
    'returning',
    'judging',
    'recomputing',
    'finishing',
    ...waits,
  ];
  t.deepEqual([...visited, ...transient].toSorted(), leafStates(passMachine).toSorted());
});

test('pass: REP-3, it waits for the segments of what comes next where these have to come', (t) => {
  const play = new Play(passMachine, { ...whole, waits: true });
  t.deepEqual(play.send('pass.forward', begin), ['want']);
  t.is(play.state, 'wanting.waiting');
  t.deepEqual(play.send('segment.ready'), ['takeSegment']);
  t.deepEqual(play.send('segments.here'), ['forwardAttention']);
  t.deepEqual(play.send('attention.forwarded'), ['want']);
  t.like(play.context, { layer: 1, toward: 'attending' });
  play.send('segments.here');
  play.send('attention.forwarded');
  t.deepEqual(play.send('forward.done'), ['finishForward']);
  t.deepEqual(play.send('pass.backward', last), ['want']);
  t.deepEqual(play.send('segments.here'), ['backwardHead']);
  t.deepEqual(play.send('head.finished'), ['want']);
  t.deepEqual(play.send('segments.here'), ['unroute']);
  play.send('backward.done');
  t.deepEqual(play.send('attention.backwarded'), ['holdLayer', 'sendHeld', 'want']);
  t.deepEqual(play.send('segments.here'), ['backwardAttention']);
  t.deepEqual(play.send('attention.backwarded'), ['holdLayer', 'want']);
  t.deepEqual(play.send('segments.here'), ['backwardEmbedding']);
  play.send('attempt.abandon', { attempt: 2 });
  t.deepEqual(play.send('pass.forward', { ...begin, attempt: 2 }), ['want']);
  t.deepEqual(play.send('attempt.abandon', { attempt: 3 }), ['abandon']);
});

test('pass: a chunk in the middle sends its residual stream on and its gradient back', (t) => {
  const play = new Play(passMachine, { ...whole, hasEmbedding: false, hasHead: false });
  t.deepEqual(sent(play, ['pass.forward', ...forward]).slice(-2), ['sendHidden', 'finishForward']);
  t.deepEqual(play.send('pass.backward', last), ['unroute']);
  t.deepEqual(play.send('rows.left'), ['sendHeld']);
  t.deepEqual(sent(play, backward).slice(-4), ['holdLayer', 'sendGradient', 'sendHeld', 'finishBackward']);
});

test('pass: where matrices are divided rows are joined behind every gate, and shares come at any time', (t) => {
  const play = new Play(passMachine, { ...whole, isDivided: true });
  t.deepEqual(play.send('peer.share'), ['acceptShare']);
  t.deepEqual(sent(play, ['pass.forward', ...forward]).slice(-2), ['route', 'joinRows']);
  t.deepEqual(sent(play, ['share.made', 'peer.share']), ['shareSums', 'acceptShare']);
  t.is(play.state, 'joining');
  t.deepEqual(play.send('rows.joined'), ['finishForward']);
});

test('pass: PAS-5, gradients of matrices that wait end with the answers of the device and of the experts beside', (t) => {
  for (const answers of [
    ['matrices.computed', 'experts.finished'],
    ['experts.finished', 'matrices.computed'],
  ]) {
    const play = new Play(passMachine, { ...whole, defersMatrices: true });
    t.deepEqual(play.send('matrices.run', last), ['computeMatrices']);
    t.deepEqual(sent(play, answers), ['holdAll', 'sendHeld', 'finishMatrices']);
    t.is(play.state, 'idle');
  }
  const alone = new Play(passMachine, { ...whole, defersMatrices: true, expertLayers: [] });
  t.deepEqual(sent(alone, ['matrices.run', 'matrices.computed']).slice(-1), ['finishMatrices']);
  t.deepEqual(new Play(passMachine, whole).send('matrices.run', last), ['finishMatrices'], 'nothing waits');
});

test('pass: where layers are computed again, those with experts are before their gate goes backward', (t) => {
  const play = new Play(passMachine, { ...whole, recomputes: true });
  t.deepEqual(sent(play, ['pass.backward', 'head.finished']), ['backwardHead', 'computeAgain']);
  t.deepEqual(play.send('layer.again'), ['unroute']);
  t.deepEqual(
    sent(play, backward.slice(0, 2)).slice(-1),
    ['backwardAttention'],
    'dense layers are in one list',
  );
});

test('pass: an evaluation ends with the loss, where the head is', (t) => {
  const play = new Play(passMachine, { ...whole, evaluates: true });
  t.deepEqual(sent(play, ['pass.forward', ...forward, 'head.finished']).slice(-2), [
    'evaluateHead',
    'finishForward',
  ]);
});

test('pass: REC-1, every state leaves an abandoned attempt', (t) => {
  const all = ['pass.forward', ...forward, 'pass.backward', 'head.finished', ...backward];
  for (let length = 0; length <= all.length; length++) {
    const play = new Play(passMachine, whole);
    for (const type of all.slice(0, length)) play.send(type, last);
    t.deepEqual(play.send('attempt.abandon', { attempt: 2 }), ['abandon']);
    t.is(play.state, 'idle');
    t.deepEqual(play.send('pass.forward', { ...begin, attempt: 2 }), ['forwardAttention']);
    t.like(play.context, { attempt: 2, layer: 0 });
  }
});
