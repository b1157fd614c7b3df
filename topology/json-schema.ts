import * as z from 'zod';
import { MAX_COUNT } from './schema-fields.ts';
import { topologySchema } from './schema.ts';
import { nearestName, nearestNumber } from './nearest.ts';

/** The part of JSON Schema (draft 2020-12) that the topology uses. */
export interface SchemaNode {
  readonly title?: string;
  readonly description?: string;
  readonly unit?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode | false;
  readonly prefixItems?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
  readonly enum?: readonly (string | number)[];
  readonly const?: string | number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly default?: unknown;
}

let made: SchemaNode | undefined;
/** Made when first asked for: a file without mistakes never asks, and it takes as long as reading one. */
const root = (): SchemaNode =>
  (made ??= {
    ...(z.toJSONSchema(topologySchema, { io: 'input' }) as SchemaNode),
    patternProperties: { '^x-': { description: 'Not read; a place for anchors.' } },
  });

/** JSON Schema of a topology file, from the same zod schema that validates; editors complete keys from it. */
export function jsonSchema(): SchemaNode {
  return structuredClone(root());
}

const isMap = (node: SchemaNode): boolean => node.type === 'object';

function child(node: SchemaNode, segment: string): SchemaNode | null {
  for (const each of [node, ...(node.anyOf ?? [])]) {
    const { properties = {} } = each;
    if (Object.hasOwn(properties, segment)) return properties[segment] ?? null;
    if (isMap(each) && typeof each.additionalProperties === 'object') return each.additionalProperties;
    const index = Number(segment);
    const item = each.prefixItems?.[index] ?? (each.items === false ? undefined : each.items);
    if (each.type === 'array' && item !== undefined && /^\d+$/u.test(segment)) return item;
  }
  return null;
}

/** The schema of one key; null when no such key is legal. */
export function schemaAt(path: readonly string[]): SchemaNode | null {
  return path.reduce<SchemaNode | null>(
    (node, segment) => (node === null ? null : child(node, segment)),
    root(),
  );
}

const keysOf = (node: SchemaNode | null): readonly string[] =>
  node === null ? [] : [node, ...(node.anyOf ?? [])].flatMap((each) => Object.keys(each.properties ?? {}));

/** Every legal dotted key outside lists. */
export function legalKeys(node: SchemaNode = root(), prefix = ''): readonly string[] {
  return keysOf(node).flatMap((key) => {
    const next = child(node, key);
    return [`${prefix}${key}`, ...(next === null ? [] : legalKeys(next, `${prefix}${key}.`))];
  });
}

/** The legal name closest to an unknown key: first among its siblings, then the same name elsewhere in the file. */
export function nearestKey(path: readonly string[]): string | null {
  const typed = path.at(-1) ?? '';
  const siblings = keysOf(schemaAt(path.slice(0, -1)));
  const sibling = nearestName(typed, siblings);
  if (sibling !== null) return sibling;
  return (
    legalKeys().find((key) => key.slice(key.lastIndexOf('.') + 1).toLowerCase() === typed.toLowerCase()) ??
    null
  );
}

function range(node: SchemaNode): string {
  const low = node.exclusiveMinimum === undefined ? null : ` > ${node.exclusiveMinimum}`;
  const high = node.exclusiveMaximum === undefined ? null : ` < ${node.exclusiveMaximum}`;
  const min =
    node.minimum === undefined || node.minimum <= Number.MIN_SAFE_INTEGER ? '' : ` ≥ ${node.minimum}`;
  const max = node.maximum === undefined || node.maximum >= MAX_COUNT ? '' : ` ≤ ${node.maximum}`;
  const both = [low ?? min, high ?? max].filter((part) => part !== '').join(' and');
  return `${both}${node.unit === undefined ? '' : ` (${node.unit})`}`;
}

/** What a key takes, in words: `a whole number ≥ 1 (experts)`. */
export function expectation(node: SchemaNode): string {
  if (node.anyOf !== undefined) return node.anyOf.map((each) => expectation(each)).join(' or ');
  if (node.const !== undefined) return String(node.const);
  if (node.enum !== undefined)
    return node.enum.length === 1 ? String(node.enum[0]) : `one of ${node.enum.join(', ')}`;
  switch (node.type) {
    case 'integer':
      return `a whole number${range(node)}`;
    case 'number':
      return `a number${range(node)}`;
    case 'string':
      return node.pattern === undefined ? 'a text that is not empty' : `a text like ${node.pattern}`;
    case 'boolean':
      return 'true or false';
    case 'null':
      return 'null';
    case 'array':
      return node.prefixItems === undefined
        ? `a list that is not empty${node.maxItems === undefined ? '' : `, of at most ${node.maxItems}`}`
        : `a list of ${node.prefixItems.length} numbers`;
    default:
      return `a map${keysOf(node).length === 0 ? '' : ` with the keys ${keysOf(node).join(', ')}`}`;
  }
}

/** The legal value closest to a wrong one: a bound, a name, a rounded number; null when the kind of value is wrong. */
export function nearestLegal(node: SchemaNode, value: unknown): string | number | null {
  if (node.anyOf !== undefined) {
    const options = node.anyOf.map((each) => nearestLegal(each, value)).filter((each) => each !== null);
    if (typeof value === 'number')
      return nearestNumber(
        value,
        options.filter((each) => typeof each === 'number'),
      );
    return options.find((each) => typeof each === typeof value) ?? null;
  }
  if (node.const !== undefined) return node.const;
  if (node.enum !== undefined)
    return typeof value === 'string' ? nearestName(value, node.enum.map(String)) : null;
  if (
    typeof value === 'string' &&
    value.trim() !== '' &&
    Number.isFinite(Number(value)) &&
    node.type !== 'string'
  ) {
    return nearestLegal(node, Number(value));
  }
  if (typeof value !== 'number' || Number.isNaN(value) || (node.type !== 'integer' && node.type !== 'number'))
    return null;
  const rounded = node.type === 'integer' ? Math.round(value) : value;
  const clamped = Math.min(Math.max(rounded, node.minimum ?? -Infinity), node.maximum ?? Infinity);
  const open = clamped === node.exclusiveMinimum || clamped < (node.exclusiveMinimum ?? -Infinity);
  if (open || clamped >= (node.exclusiveMaximum ?? Infinity)) return null;
  return clamped;
}
