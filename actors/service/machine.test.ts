import test from 'ava';
import fc from 'fast-check';
import { acceptedOf, leafStates, Play } from '../testing/play.ts';
import { serviceMachine, type ServiceInput } from './machine.ts';

const input: ServiceInput = { capacity: 2, sizes: { dim: 2, experts: 3 } };
const question = { tensors: { x_ND: new Float32Array(2), experts_N: Int32Array.of(1) } };
const none = { tensors: { x_ND: new Float32Array(3), experts_N: Int32Array.of(1) } };

test('service: idle and computing, each accepts what it waits for and nothing else', (t) => {
  const visited = new Set<string>();
  const play = new Play(serviceMachine, input, visited);
  const kinds = ['experts.ask', 'rows.return', 'message.refused', 'forward.run', 'gradients.dispatch'];
  t.deepEqual(acceptedOf(play, kinds, question), ['experts.ask', 'message.refused']);
  t.deepEqual(play.send('experts.ask', question), ['keepAndDispatch']);
  t.is(play.state, 'computing');
  t.deepEqual(acceptedOf(play, kinds, question), ['experts.ask', 'rows.return', 'message.refused']);
  t.deepEqual(play.send('message.refused'), []);
  t.deepEqual(play.send('rows.return'), ['reply']);
  t.is(play.state, 'idle');
  t.deepEqual([...visited].toSorted(), leafStates(serviceMachine).toSorted());
});

test('service: SVC-3, what is no question is refused in every state and changes nothing', (t) => {
  const play = new Play(serviceMachine, input);
  for (const state of ['idle', 'computing']) {
    t.is(play.state, state);
    t.deepEqual(play.send('experts.ask', none), ['refuseWrong']);
    t.deepEqual(play.send('experts.ask', { tensors: {} }), ['refuseWrong']);
    t.is(play.state, state);
    play.send('experts.ask', question);
  }
});

test('service: SVC-1, SVC-2, one is computed, at most `capacity` wait, and every one that was kept is answered', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      (asks, capacity) => {
        const play = new Play(serviceMachine, { ...input, capacity });
        let [kept, answered, refused] = [0, 0, 0];
        for (const isAsk of [...asks, ...Array.from({ length: capacity + 1 }, () => false)]) {
          if (!isAsk && play.state === 'idle') continue;
          const open = kept - answered;
          const [action] = play.send(isAsk ? 'experts.ask' : 'rows.return', isAsk ? question : {});
          if (action === 'refuseBusy') {
            refused++;
            t.is(open, capacity + 1);
          } else if (isAsk) {
            kept++;
            t.is(action, open === 0 ? 'keepAndDispatch' : 'keep');
          } else {
            answered++;
            t.is(action, open > 1 ? 'replyAndDispatch' : 'reply');
          }
        }
        t.is(play.state, 'idle');
        t.is(answered, kept);
        t.is(kept + refused, asks.filter(Boolean).length);
      },
    ),
  );
});
