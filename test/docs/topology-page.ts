import { presetTable } from './preset-table.ts';
import { expectation, jsonSchema, type SchemaNode } from '@troupe/topology';

interface Row {
  readonly key: string;
  readonly node: SchemaNode;
}

/** Properties of a map, or of the map among several kinds of value, or of the items of a list. */
function below({ key, node }: Row): readonly Row[] {
  const own = Object.entries(node.properties ?? {}).map(([name, each]) => ({
    key: key === '' ? name : `${key}.${name}`,
    node: each,
  }));
  const kinds = (node.anyOf ?? []).flatMap((each) => below({ key, node: each }));
  const items = typeof node.items === 'object' ? below({ key: `${key}[]`, node: node.items }) : [];
  return [...own, ...kinds, ...items];
}

/** The row of a key, then those of what lies below it. */
const rowsOf = (row: Row): readonly Row[] => [row, ...below(row).flatMap(rowsOf)];

const hasKeys = (row: Row): boolean => below(row).length > 0;

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** What a key takes, without its unit, which has a column of its own. */
function takes(row: Row): string {
  const { unit: _unit, ...rest } = row.node;
  if (!hasKeys(row)) return cell(expectation(rest));
  if (row.node.type === 'array') return 'a list of maps';
  return row.node.anyOf === undefined ? 'a map' : `a map or ${alternatives(row.node)}`;
}

const alternatives = ({ anyOf = [] }: SchemaNode): string =>
  anyOf
    .filter((each) => each.type !== 'object')
    .map((each) => cell(expectation(each)))
    .join(' or ');

/** A default of the schema; one that follows from other keys is in the description. */
function defaultOf(row: Row): string {
  const value = row.node.default;
  if (hasKeys(row) && row.node.type === 'object') return '';
  return value === undefined ? '' : `\`${cell(JSON.stringify(value).replaceAll('"', ''))}\``;
}

const lineOf = (row: Row): string =>
  `| \`${row.key}\` | ${takes(row)} | ${row.node.unit ?? ''} | ${defaultOf(row)} | ${cell(row.node.description ?? '')} |`;

const head = ['| key | takes | unit | default | what it is |', '|---|---|---|---|---|'];

const table = (rows: readonly Row[]): string => [...head, ...rows.map(lineOf)].join('\n');

/** What `docs/topology.md` has to say today: every key of a topology file, from the schema that judges it. */
export function topologyPage(): string {
  const root = below({ key: '', node: jsonSchema() });
  const sections = root.filter(hasKeys);
  const single = root.filter((row) => !hasKeys(row));
  return `# The topology file

Every key of a topology, made by \`npm run docs\` from the schema that judges it. Only \`model\` is required, and it may be \`{}\`. \`npx troupe plan FILE --resolved\` prints a file with every default, \`npx troupe validate FILE\` says what is wrong with one, and editors complete keys from \`topology.schema.json\` of \`@troupe/topology\`.

- The file is YAML 1.2 or JSON, one document. \`extends: OTHER\` lays it over a preset or another file; maps are merged, lists replaced. \`--set model.moe.topK=4\` goes over both.
- Keys of the top level that begin with \`x-\` are not read: a place for anchors. Merge keys (\`<<\`) do not exist in YAML 1.2.
- \`a.b\` is key \`b\` in map \`a\`, \`a[].b\` key \`b\` of each map in list \`a\`. Not every value that a file may say runs today: \`validate\` and \`plan\` name what \`launch\` would refuse.

${table(single)}

## Presets

Topologies by name: \`troupe plan deepseek-v3\`, \`troupe init my.yaml --preset olmoe-1b-7b\`, \`extends: granular-3m\`. Parameters are counted from the list of tensors; publishers differ in whether the table of which a token takes one row is active (DeepSeek leaves it out). The models are as published, what a paper does not say about training is a guess that the file admits.

${presetTable()}

${sections.map((row) => `## ${row.key}\n\n${row.node.description ?? ''}\n\n${table(rowsOf(row).slice(1))}`).join('\n\n')}
`;
}
