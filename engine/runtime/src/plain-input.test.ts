import { InvariantError } from '@troupe/core';
import test from 'ava';
import { assertPlainInput } from './plain-input.ts';

class Place {
  readonly row: number;
  constructor(row: number) {
    this.row = row;
  }
  get next(): number {
    return this.row + 1;
  }
}

test('RUN-6: an input that holds a function anywhere is refused by the path to it', (t) => {
  const inputs = [
    [() => 1, 'input'],
    [{ finite: () => true }, 'input.finite'],
    [{ lives: new Map([['worker/0', { ask: () => 1 }]]) }, 'input.lives.0.1.ask'],
    [{ list: [1, new Set([() => 1])] }, 'input.list.1.0'],
  ] as const;
  for (const [input, path] of inputs)
    t.throws(() => assertPlainInput('gate', input), {
      instanceOf: InvariantError,
      message: new RegExp(`the machine 'gate': ${path.replaceAll('.', '\\.')} is a function`, 'u'),
    });
});

test('RUN-6: numbers, lists, maps, sets, arrays of numbers and values with methods are data', (t) => {
  for (const input of [
    undefined,
    null,
    1,
    'a',
    [1, [2]],
    new Map([[1, new Set([2])]]),
    new Float32Array(2),
    new Place(1),
  ])
    t.notThrows(() => assertPlainInput('gate', { input }));
});
