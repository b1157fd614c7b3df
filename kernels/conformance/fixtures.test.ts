import { readFileSync } from 'node:fs';
import test from 'ava';
import { fixtureChecks } from './conform-fixtures.ts';

/** Operations of the fixtures that no kernel has, with what is missing; kernels/README.md says them in a sentence. */
const unexpressed: Readonly<Record<string, string>> = {
  rope_interleaved: 'rope turns pairs (i, i + headDim/2), and no others',
  rope_interleaved_to_half: 'rope turns pairs (i, i + headDim/2), and no others',
  rope_yarn_gpt_oss: 'tables of angles, which the model makes; it has no YaRN',
  rope_yarn_deepseek_v3: 'tables of angles, which the model makes; it has no YaRN',
  attention_sinks: 'a softmax has no logit of its own',
  swiglu_clamped: 'SwiGLU has no clamp',
};

test('fixtures: every operation is compared with PyTorch, or said not to be with its reason', (t) => {
  const path = new URL('../../../test/fixtures/ops.json', import.meta.url);
  const { versions, ...operations } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  t.truthy(versions);
  const names = Object.keys(operations);
  t.is(names.length, 46);
  const checked = names.filter((name) => name in fixtureChecks);
  t.deepEqual(
    names.filter((name) => !checked.includes(name)),
    names.filter((name) => name in unexpressed),
  );
  t.deepEqual(
    [...Object.keys(fixtureChecks), ...Object.keys(unexpressed)].filter((name) => !names.includes(name)),
    [],
  );
  t.log(`${checked.length} of ${names.length} compared`);
});
