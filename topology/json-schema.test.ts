import test from 'ava';
import { readFileSync } from 'node:fs';
import {
  expectation,
  jsonSchema,
  legalKeys,
  nearestKey,
  nearestLegal,
  schemaAt,
  type SchemaNode,
} from './json-schema.ts';

test('jsonSchema: topology.schema.json is current', (t) => {
  const text = readFileSync(new URL('../topology.schema.json', import.meta.url), 'utf8');
  t.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(jsonSchema())), 'run `npm run schema -w topology`');
});

test('jsonSchema: every key has a description, every number a unit', (t) => {
  const keys = legalKeys();
  t.true(keys.length > 80, `${keys.length} keys`);
  const isNumber = (node: SchemaNode): boolean =>
    node.enum === undefined &&
    (node.type === 'integer' || node.type === 'number' || (node.anyOf ?? []).some((each) => isNumber(each)));
  for (const key of keys) {
    const node = schemaAt(key.split('.'));
    t.truthy(node?.description, key);
    const version = key === 'troupe' || key === 'parallel.zero';
    if (node !== null && isNumber(node) && !version) t.truthy(node.unit, key);
  }
});

test('jsonSchema: no map takes unknown keys, and only model is required', (t) => {
  const visit = (node: SchemaNode, path: string): void => {
    if (node.properties !== undefined) t.is(node.additionalProperties, false, path);
    for (const [key, each] of Object.entries(node.properties ?? {})) visit(each, `${path}.${key}`);
    for (const each of node.anyOf ?? []) visit(each, path);
    if (typeof node.items === 'object') visit(node.items, `${path}[]`);
  };
  const root = jsonSchema() as SchemaNode & { readonly required: readonly string[] };
  visit(root, '');
  t.deepEqual(root.required, ['model']);
});

test('expectation: says kind, range and unit', (t) => {
  const at = (key: string): string => expectation(schemaAt(key.split('.')) ?? {});
  t.is(at('model.layers'), 'a whole number ≥ 1 and ≤ 10000 (layers)');
  t.is(at('model.dModel'), 'a whole number ≥ 1 (elements)');
  t.is(at('train.optimizer.lr'), 'a number > 0 (per step)');
  t.is(at('data.holdout'), 'a number ≥ 0 and ≤ 0.9 (fraction)');
  t.is(at('eval.batches'), 'all or a whole number ≥ 1');
  t.is(at('device'), 'one of auto, native, tfjs');
  t.is(at('train.optimizer.betas'), 'a list of 2 numbers');
  t.is(at('model.rope'), 'a map with the keys theta');
  t.is(at('model.tiedHead'), 'true or false');
});

test('nearestLegal: clamps, rounds and corrects spelling', (t) => {
  const at = (key: string, value: unknown): string | number | null =>
    nearestLegal(schemaAt(key.split('.')) ?? {}, value);
  t.is(at('data.holdout', 2), 0.9);
  t.is(at('model.layers', 3.4), 3);
  t.is(at('device', 'nativ'), 'native');
  t.is(at('wire.port', 70000), 65535);
  t.is(at('parallel.dp', 0), -1);
  t.is(at('model.layers', true), null);
});

test('nearestKey: prefers a sibling, then the same name elsewhere', (t) => {
  t.is(nearestKey(['model', 'layer']), 'layers');
  t.is(nearestKey(['train', 'lr']), 'train.optimizer.lr');
  t.is(nearestKey(['model', 'xyzzy']), null);
});
