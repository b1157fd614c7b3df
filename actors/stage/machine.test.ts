import test from 'ava';
import fc from 'fast-check';
import { forwardProgram, program, type StagePlan } from '@troupe/topology/layout';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { stageMachine, type StageInput } from './machine.ts';

const kinds = [
  'weights.publish',
  'batch.ready',
  'evaluation.ready',
  'step.open',
  'evaluation.open',
  'hidden.ready',
  'hidden.gradient',
  'pass.forwarded',
  'pass.backwarded',
  'balance.shared',
  'attempt.abandon',
  'rows.return',
  'commit.decide',
] as const;
/** What every state accepts: all of it comes when it comes, and an attempt can end at any time. */
const early = ['weights.publish', 'batch.ready', 'hidden.ready', 'hidden.gradient', 'attempt.abandon'];

const whole: StagePlan = { blocks: [0, 1], hasEmbedding: true, hasHead: true };
const middle: StagePlan = { blocks: [1], hasEmbedding: false, hasHead: false };

const trainingOf = (microbatches: number, stage = 0, stages = 1) =>
  program({ kind: '1f1b', stages, stage, microbatches, chunks: 1 });

/** A stage that is the whole model. */
const input: StageInput = {
  version: 0,
  numElements: 10,
  numMicrobatches: 1,
  training: trainingOf(1),
  evaluation: forwardProgram(2, 1),
  chunks: [whole],
  width: 1,
  sharesBalance: false,
};
const weights = (version: number, elements = 10) => ({ version, body: { from: 0, to: elements } });
/** Fields that any of the kinds reads. */
const any = { ...weights(0, 0), body: { from: 0, to: 0, mode: 'train', chunk: 0 } };
const answerOf = (microbatch: number) => ({ microbatch, body: { chunk: 0 } });
const open = (step: number, attempt = 1) => ({
  step,
  attempt,
  version: step - 1,
  body: { targets: 8, tokens: 8, domains: 1 },
});
const hidden = (microbatch: number, attempt = 1) => ({
  step: 1,
  attempt,
  microbatch,
  body: { mode: 'train', chunk: 0 },
});

function ready(changes: Partial<StageInput> = {}, visited = new Set<string>()): Play {
  const play = new Play(stageMachine, { ...input, ...changes }, visited);
  play.send('weights.publish', weights(0));
  return play;
}

test('stage: a step and an evaluation pass by every state, each of which refuses what it does not wait for', (t) => {
  const visited = new Set<string>();
  const play = ready({ sharesBalance: true }, visited);
  t.deepEqual(acceptedOf(play, kinds, any).toSorted(), [...early, 'evaluation.open', 'step.open'].toSorted());
  play.send('batch.ready', { step: 1 });
  const actions = [...play.send('step.open', open(1))];
  for (const type of ['pass.forwarded', 'balance.shared', 'pass.backwarded']) {
    const state = play.state;
    t.true(play.accepts(type, any), state);
    t.false(play.accepts('step.open', open(2)), state);
    t.false(play.accepts('commit.decide', any), state);
    actions.push(...play.send(type, answerOf(0)));
  }
  t.deepEqual(actions, [
    'open',
    'begin',
    'beginOperation',
    'endForward',
    'shareBalance',
    'acceptBalance',
    'beginOperation',
    'endBackward',
    'measure',
  ]);
  t.is(play.state, 'waiting');

  const evaluated: string[] = [...play.send('evaluation.open', { step: 1, attempt: 1, version: 0 })];
  for (let pass = 0; pass < 2; pass++) {
    t.deepEqual(acceptedOf(play, kinds, any).toSorted(), [...early, 'evaluation.ready'].toSorted());
    evaluated.push(...play.send('evaluation.ready', { microbatch: pass }));
    evaluated.push(...play.send('pass.forwarded', answerOf(pass)));
  }
  const onePass = ['askEvaluation', 'acceptEvaluation', 'beginOperation', 'endForward'];
  t.deepEqual(evaluated, ['begin', ...onePass, ...onePass, 'reportEvaluation']);
  t.is(play.state, 'waiting');
  t.deepEqual(
    [...visited, 'choosing', 'beginning', 'starving'].toSorted(),
    leafStates(stageMachine).toSorted(),
  );
});

test('stage: a question is one pass over the sequence that came with it', (t) => {
  const play = ready();
  const question = { step: 0, attempt: 1, version: 0 };
  t.deepEqual(play.send('generation.open', question), ['acceptQuestion', 'begin', 'beginOperation']);
  t.is(play.state, 'operating', 'only the first pass of an evaluation');
  const rest = play.send('pass.forwarded', answerOf(0));
  t.deepEqual(rest, ['endForward', 'reportLogits']);
  t.is(play.state, 'waiting');
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
      (order, at) => {
        const play = ready({ numMicrobatches: 2, training: trainingOf(2) });
        // Tokens of the step after, from a feeder that is ahead, count for nothing here.
        const all = [
          ...order.slice(0, at),
          { type: 'batch.ready', fields: { step: 3, microbatch: 0 } },
          ...order.slice(at),
        ];
        let missing = order.length;
        for (const event of all) {
          const actions = play.send(event.type, event.fields);
          if (order.includes(event)) missing--;
          if (missing > 0) t.false(actions.includes('begin'));
        }
        t.is(play.state, 'operating');
        t.like(play.context, { step: 2, version: 1, wanted: 1, next: 1 });
      },
    ),
  );
});

test('stage: STG-2, operations run in the order of the program, whenever their inputs come', (t) => {
  const training = trainingOf(3, 1, 3);
  const inputs = [0, 1, 2].flatMap((microbatch) => [
    { type: 'hidden.ready', fields: hidden(microbatch) },
    { type: 'hidden.gradient', fields: hidden(microbatch) },
  ]);
  fc.assert(
    fc.property(fc.shuffledSubarray(inputs, { minLength: inputs.length }), fc.boolean(), (order, eager) => {
      const play = ready({ training, chunks: [middle], numMicrobatches: 3 });
      for (let microbatch = 0; microbatch < 3; microbatch++)
        play.send('batch.ready', { step: 1, microbatch });
      const done: string[] = [];
      /** Answers as the pass that runs. */
      const answer = (): void => {
        const [index = -1] = play.context['running'] as readonly number[];
        const running = training[index];
        if (play.state !== 'operating' || running === undefined) return;
        done.push(`${running.direction} ${running.microbatch}`);
        const type = running.direction === 'forward' ? 'pass.forwarded' : 'pass.backwarded';
        play.send(type, answerOf(running.microbatch));
      };
      play.send('step.open', open(1));
      for (const { type, fields } of order) {
        play.send(type, fields);
        if (eager) answer();
      }
      for (let rest = 0; rest < training.length; rest++) answer();
      t.deepEqual(
        done,
        training.map(({ direction, microbatch }) => `${direction} ${microbatch}`),
      );
      t.is(play.state, 'waiting');
    }),
  );
});

test('stage: who waits for another stage says so, and stops when its input is here', (t) => {
  const play = ready({ training: trainingOf(1, 1, 3), chunks: [middle] });
  play.send('batch.ready', { step: 1 });
  t.deepEqual(play.send('step.open', open(1)), ['open', 'begin', 'awaitInput']);
  t.is(play.state, 'starving');
  t.deepEqual(
    play.send('hidden.gradient', hidden(0)).filter((each) => each !== 'endWait'),
    ['acceptInput', 'awaitInput'],
  );
  t.deepEqual(play.send('hidden.ready', hidden(0)), ['endWait', 'acceptInput', 'beginOperation']);
});

test('stage: STG-2, while a pass waits the next one computes, but no second backward pass, and nothing of the same pass', (t) => {
  const play = ready({ training: trainingOf(3), numMicrobatches: 3, width: 2 });
  for (let microbatch = 0; microbatch < 3; microbatch++) play.send('batch.ready', { step: 1, microbatch });
  const begins = (type: string, microbatch: number): number =>
    play.send(type, answerOf(microbatch)).filter((each) => each === 'beginOperation').length;
  // F0 B0 F1 B1 F2 B2
  const opened = play.send('step.open', open(1));
  t.is(opened.filter((each) => each === 'beginOperation').length, 1, 'B0 is of the pass that runs');
  t.is(begins('pass.forwarded', 0), 2, 'B0 and F1');
  t.is(begins('pass.forwarded', 1), 0, 'B1 waits for B0');
  t.is(begins('pass.backwarded', 0), 2, 'B1 and F2');
  t.is(begins('pass.backwarded', 1), 0, 'B2 waits for F2');
  t.is(begins('pass.forwarded', 2), 1);
  t.deepEqual(play.send('pass.backwarded', answerOf(2)), ['endBackward', 'measure']);
});

test('stage: a replay of the step begins again with the same tokens and weights', (t) => {
  const play = ready();
  play.send('batch.ready', { step: 1 });
  play.send('step.open', open(1));
  for (const type of ['pass.forwarded', 'pass.backwarded']) play.send(type, answerOf(0));
  t.is(play.state, 'waiting');
  t.true(play.send('step.open', open(1, 2)).includes('begin'));
  t.like(play.context, { step: 1, attempt: 2, next: 1 });
});

test('stage: what a faster stage sends for a replay counts once the replay is open', (t) => {
  const play = ready({ training: trainingOf(1, 1, 3), chunks: [middle] });
  play.send('batch.ready', { step: 1 });
  play.send('step.open', open(1));
  for (const [type, fields] of [
    ['hidden.ready', hidden(0)],
    ['pass.forwarded', answerOf(0)],
    ['hidden.gradient', hidden(0)],
    ['pass.backwarded', answerOf(0)],
    ['hidden.ready', hidden(0, 2)],
  ] as const)
    play.send(type, fields);
  t.is(play.state, 'waiting');
  t.true(play.send('step.open', open(1, 2)).includes('beginOperation'));
});

test('stage: tokens of steps that are over are forgotten', (t) => {
  const play = ready();
  for (let step = 1; step <= 20; step++) {
    play.send('batch.ready', { step });
    play.send('step.open', open(step));
    if (step > 1) play.send('weights.publish', weights(step - 1));
    for (const type of ['pass.forwarded', 'pass.backwarded']) play.send(type, answerOf(0));
  }
  t.true((play.context['batches'] as ReadonlyMap<number, unknown>).size <= 2);
});

test('stage: REC-1, every state leaves an abandoned attempt, keeps its tokens and waits for weights', (t) => {
  const training = ['pass.forwarded', 'balance.shared', 'pass.backwarded'];
  const evaluating = ['evaluation.ready', 'pass.forwarded'];
  const abandons = (play: Play): void => {
    const from = play.state;
    const left = play.send('attempt.abandon', { attempt: 4 });
    t.deepEqual(
      left.filter((action) => action !== 'endWait'),
      ['abandon'],
      from,
    );
    t.is(play.state, 'waiting', from);
    t.deepEqual(play.send('attempt.abandon', { attempt: 4 }), [], `${from}: once`);
    play.send('step.open', open(1, 4));
    t.is(play.state, 'waiting', `${from}: not before its weights are here`);
    t.true(play.send('weights.publish', weights(0)).includes('begin'), from);
    t.like(play.context, { step: 1, attempt: 4 });
  };
  for (let length = 0; length <= training.length; length++) {
    const play = ready({ sharesBalance: true });
    play.send('batch.ready', { step: 1 });
    if (length > 0) play.send('step.open', open(1));
    for (const type of training.slice(0, Math.max(0, length - 1))) play.send(type, answerOf(0));
    abandons(play);
  }
  for (let length = 0; length <= evaluating.length; length++) {
    const play = ready();
    play.send('batch.ready', { step: 1 });
    play.send('evaluation.open', { step: 0, attempt: 1, version: 0 });
    for (const type of evaluating.slice(0, length)) play.send(type, answerOf(0));
    abandons(play);
  }
  const starving = ready({ training: trainingOf(1, 1, 3), chunks: [middle] });
  starving.send('batch.ready', { step: 1 });
  starving.send('step.open', open(1));
  t.is(starving.state, 'starving');
  t.true(starving.send('attempt.abandon', { attempt: 4 }).includes('abandon'));
});

test('stage: a batch that comes twice, or of a step that is computed again, is the same batch', (t) => {
  const play = ready({ numMicrobatches: 2, training: trainingOf(2) });
  play.send('batch.ready', { step: 1, microbatch: 0 });
  play.send('batch.ready', { step: 1, microbatch: 0 });
  play.send('step.open', open(1));
  t.is(play.state, 'waiting');
  play.send('batch.ready', { step: 1, microbatch: 1 });
  t.is(play.state, 'operating');
});
