import test from 'ava';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { feederMachine } from './machine.ts';

test('feeder: serves steps and evaluations in one state, as often as asked, and refuses all else', (t) => {
  const visited = new Set<string>();
  const play = new Play(feederMachine, undefined, visited);
  t.deepEqual(play.send('batch.prefetch', { step: 1 }), ['feedStep']);
  t.deepEqual(
    play.send('batch.prefetch', { step: 1 }),
    ['feedStep'],
    'a replay asks for the same step again',
  );
  t.deepEqual(play.send('evaluation.prefetch'), ['feedEvaluation']);
  t.deepEqual(play.send('step.loaded', { step: 1 }), ['passStep']);
  t.deepEqual(play.send('evaluation.loaded'), ['passEvaluation']);
  t.deepEqual(play.send('source.failed'), ['failSource']);
  t.deepEqual(
    acceptedOf(play, ['batch.prefetch', 'evaluation.prefetch', 'batch.ready', 'step.open', 'forward.run']),
    ['batch.prefetch', 'evaluation.prefetch'],
  );
  t.deepEqual([...visited], leafStates(feederMachine));
});
