import { quantityOf } from '@troupe/core';

/** Axes with a name of their own, and the key that they set; null: it follows from several. Any dotted key is an axis too. */
export const axisKeys = {
  dModel: 'model.dModel',
  layers: 'model.layers',
  heads: 'model.heads',
  router: 'model.moe.router.kind',
  granularity: null,
  expansion: null,
  tokens: null,
  steps: 'train.steps',
  seed: 'train.seed',
} as const satisfies Readonly<Record<string, string | null>>;

export type AxisName = keyof typeof axisKeys;

/** An axis whose values are models with a name: `{ name: dense, set: { model.moe: null } }`. */
export const VARIANT_AXIS = 'variant';

/** An axis whose values are maps of other axes, varied together. */
export const SIZE_AXIS = 'size';

/** The granularity of a model without experts. */
export const DENSE = 'dense';

export const isAxisName = (name: string): name is AxisName => Object.hasOwn(axisKeys, name);

/** Which value of which axis a cell has. */
export type Assignment = ReadonlyMap<string, unknown>;

const routerNames: Readonly<Record<string, string>> = { 'token-choice': 'tc', 'expert-choice': 'ec' };

/** `1000000` → `1M`; digits are kept. */
function shortCount(value: number): string {
  for (const [size, unit] of [
    [1e9, 'B'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (value >= size) return `${Number((value / size).toPrecision(12))}${unit}`;
  return String(value);
}

const said = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** How each axis stands in a cell's name, in this order. */
const parts: Readonly<Record<AxisName, (value: unknown) => string>> = {
  dModel: (value) => `d${said(value)}`,
  layers: (value) => `l${said(value)}`,
  heads: (value) => `h${said(value)}`,
  router: (value) => routerNames[said(value)] ?? said(value),
  granularity: (value) => (value === DENSE ? DENSE : `g${said(value)}`),
  expansion: (value) => `e${said(value)}`,
  tokens: (value) => (typeof value === 'number' ? shortCount(value) : said(value)),
  steps: (value) => `n${said(value)}`,
  seed: (value) => `s${said(value)}`,
};

/** `d64-tc-g4-1M-s1`, `moe-s1`: the values of its axes, so that a cell is called the same however the grid around it changes. */
export function cellName(assignment: Assignment): string {
  const named = Object.entries(parts).flatMap(([axis, part]) =>
    assignment.has(axis) ? [part(assignment.get(axis))] : [],
  );
  const variant = assignment.has(VARIANT_AXIS) ? [said(assignment.get(VARIANT_AXIS))] : [];
  const others = [...assignment].filter(([axis]) => !isAxisName(axis) && axis !== VARIANT_AXIS);
  const seed = assignment.has('seed') ? named.splice(-1) : [];
  return [...variant, ...named, ...others.map(([key, value]) => `${key}-${said(value)}`), ...seed]
    .join('-')
    .replaceAll(/[^A-Za-z0-9._-]+/gu, '_');
}

/** Tokens may be written `1M`; other values stay as they are. */
export const readAxisValue = (axis: string, value: unknown): unknown =>
  axis === 'tokens' && typeof value === 'string' ? (quantityOf(value) ?? value) : value;

/** An assignment without axes that mean nothing to a dense model, so that it is one cell whatever the router. */
export function withoutIdleAxes(assignment: Assignment): Assignment {
  if (assignment.get('granularity') !== DENSE) return assignment;
  return new Map([...assignment].filter(([axis]) => axis !== 'router' && axis !== 'expansion'));
}
