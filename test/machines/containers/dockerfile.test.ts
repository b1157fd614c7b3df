import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { repositoryRoot } from '../../tidy/source-file.ts';
import { instructionsOf, stagesOf } from './dockerfile.ts';

test('instructionsOf: comments and blank lines are none, continued lines are one, with the number of the first', (t) => {
  const text = '# an image\n\nFROM base AS first\nRUN one && \\\n  # and\n  two\n';
  t.deepEqual(instructionsOf(text), [
    { name: 'FROM', rest: 'base AS first', line: 3 },
    { name: 'RUN', rest: 'one && two', line: 4 },
  ]);
  t.throws(() => instructionsOf('run x'), { message: 'line 1 is no instruction: run x' });
});

test('the Dockerfile of examples/containers: what it copies is built before, what it starts is troupe, as nobody special', (t) => {
  const stages = stagesOf(readFileSync(join(repositoryRoot(), 'examples/containers/Dockerfile'), 'utf8'));
  const names = stages.map(({ name }) => name);
  const last = stages.at(-1)?.instructions ?? [];
  const copied = last.flatMap(({ name, rest }) =>
    name === 'COPY' ? (/--from=(\w+)/u.exec(rest)?.[1] ?? []) : [],
  );
  t.deepEqual([names, copied], [['build', null], ['build']]);
  t.deepEqual(
    last.filter(({ name }) => ['USER', 'ENTRYPOINT'].includes(name)).map(({ rest }) => rest),
    ['node', '["troupe"]'],
  );
});
