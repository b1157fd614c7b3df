import test from 'ava';
import fc from 'fast-check';
import { slurmNodes } from './slurm-node-list.ts';

const nodes = (list: string): string => slurmNodes(list, 'LIST').join(' ');

// The right sides are what `scontrol show hostnames` of Slurm 22.05 prints; test/machines asks a real one.
test('node list: names are those of scontrol, in its order', (t) => {
  t.is(nodes('gpu[001-003,007],login1'), 'gpu001 gpu002 gpu003 gpu007 login1');
  t.is(nodes('h0'), 'h0');
  t.is(nodes('b-1.x,a_2'), 'b-1.x a_2');
  t.is(nodes('n[8-11]'), 'n8 n9 n10 n11');
  t.is(nodes('n[08-11]'), 'n08 n09 n10 n11');
  t.is(nodes('n[9,3,1-2]'), 'n9 n3 n1 n2');
  t.is(nodes('r[1-2]n[01-02,5]'), 'r1n01 r1n02 r1n5 r2n01 r2n02 r2n5');
  t.is(nodes('r[1-2]n[3],x[7]'), 'r1n3 r2n3 x7');
});

test('node list: what is none is refused, with what was found', (t) => {
  const wrong: Readonly<Record<string, RegExp>> = {
    '': /a name is empty/u,
    'a,': /a name is empty/u,
    'a,,b': /a name is empty/u,
    'n[1-3': /a bracket has no other half/u,
    'n1-3]': /a bracket has no other half/u,
    'n[[1]]': /a bracket has no other half/u,
    'n[]': /'' in its brackets is neither a number/u,
    'n[1,]': /'' in its brackets/u,
    'n[1-2-3]': /'1-2-3' in its brackets/u,
    'n[a-b]': /'a-b' in its brackets/u,
    'n[3-1]': /'3-1' ends before it starts/u,
    'n[1-9999999]': /more than 65536 nodes/u,
    'a[1-999]b[1-999]': /more than 65536 nodes/u,
    'n[1-9999999999999999]': /more than 15 digits/u,
    '[1-2]': /'\[1-2\]' is no name of a host/u,
    'a b': /'a b' is no name of a host/u,
    '-x,b': /'-x' is no name of a host/u,
    'a;reboot': /'a;reboot' is no name of a host/u,
  };
  for (const [list, says] of Object.entries(wrong)) {
    const error = t.throws(() => slurmNodes(list, 'LIST'), { code: 'TROUPE_LAUNCHER' }, list);
    t.regex(error?.message ?? '', says);
    t.true(error?.message.startsWith(`LIST '${list}' is no list of nodes: `));
  }
});

test('node list: a list that is written out has its names again, whatever text it was', (t) => {
  const number = fc.integer({ min: 0, max: 2000 });
  const range = fc.tuple(number, fc.integer({ min: 0, max: 20 }), fc.integer({ min: 1, max: 5 }));
  fc.assert(
    fc.property(fc.array(range, { minLength: 1, maxLength: 8 }), (ranges) => {
      const written = ranges.map(([first, more, width]) => {
        const from = String(first).padStart(width, '0');
        return more === 0 ? from : `${from}-${first + more}`;
      });
      const expected = ranges.flatMap(([first, more, width]) =>
        Array.from({ length: more + 1 }, (_, index) => `n${String(first + index).padStart(width, '0')}`),
      );
      t.deepEqual(slurmNodes(`n[${written.join(',')}]`, 'LIST'), expected);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        t.true(slurmNodes(text, 'LIST').length > 0);
      } catch (error) {
        t.is((error as { code?: string }).code, 'TROUPE_LAUNCHER');
      }
    }),
  );
});
