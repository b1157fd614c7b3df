import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import fc from 'fast-check';
import { MailboxFullError } from './errors.ts';
import { Mailbox } from './mailbox.ts';

test('Mailbox: holds its capacity and not one more, and names its owner', (t) => {
  const mailbox = new Mailbox<number>('expert/L0/ep0/edp0', 3);
  for (const item of [1, 2, 3]) mailbox.push(item);
  const error = t.throws(() => mailbox.push(4), { instanceOf: MailboxFullError });
  t.is(error?.code, 'TROUPE_MAILBOX_FULL');
  t.regex(error?.message ?? '', /expert\/L0\/ep0\/edp0 is full at 3 messages/);
  t.is(mailbox.size, 3);
  t.is(mailbox.shift(), 1);
  mailbox.push(4);
  t.deepEqual([mailbox.shift(), mailbox.shift(), mailbox.shift(), mailbox.shift()], [2, 3, 4, undefined]);
});

test('Mailbox: behaves as a bounded array for any program of pushes and shifts', (t) => {
  const program = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constant('push' as const) },
      { weight: 2, arbitrary: fc.constant('shift' as const) },
      { weight: 1, arbitrary: fc.constant('burst' as const) },
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(program, fc.integer({ min: 1, max: 300 }), (steps, capacity) => {
      const mailbox = new Mailbox<number>('x', capacity);
      const model: number[] = [];
      let next = 0;
      const push = (): void => {
        if (model.length === capacity) t.throws(() => mailbox.push(next), { instanceOf: MailboxFullError });
        else {
          mailbox.push(next);
          model.push(next);
        }
        next++;
      };
      for (const step of steps) {
        if (step === 'push') push();
        if (step === 'burst') for (let i = 0; i < 90; i++) push();
        if (step === 'shift') for (let i = 0; i < 40; i++) t.is(mailbox.shift(), model.shift());
        t.is(mailbox.size, model.length);
      }
    }),
  );
});

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

test('Mailbox: what was taken out can be collected, whatever waits behind it', async (t) => {
  const mailbox = new Mailbox<object>('x', 100);
  const taken: WeakRef<object>[] = [];
  for (let turn = 0; turn < 3; turn++) {
    for (let index = 0; index < 20; index++) mailbox.push({ turn, index });
    for (let index = 0; index < 19; index++) taken.push(new WeakRef(mailbox.shift() ?? {}));
  }
  // A reference that was read or made in a turn of the event loop holds until its end.
  await new Promise((resolve) => setImmediate(resolve));
  (collect as () => void)();
  t.is(mailbox.size, 3);
  t.is(taken.filter((each) => each.deref() !== undefined).length, 0);
});
