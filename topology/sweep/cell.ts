import { originOf, type Layer, type Origin } from '../document.ts';
import { TopologyError } from '../errors.ts';
import { mergeLayers } from '../layers.ts';
import type { TopologyProblem } from '../problem.ts';
import { resolveComposed } from '../resolve.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { decidesNumbers } from '../run-settings.ts';
import { axisKeys, DENSE, isAxisName, VARIANT_AXIS } from './axes.ts';
import type { GridCell } from './grid.ts';

/** One training of a sweep. */
export interface SweepCell {
  readonly name: string;
  /** The value of each axis, for people and programs. */
  readonly axes: Readonly<Record<string, unknown>>;
  readonly topology: ResolvedTopology;
  /** 1 for a dense model. */
  readonly granularity: number;
  readonly expansion: number;
  /** What was written of the keys that decide its numbers, so that a default that comes later changes no cell. */
  readonly decided: object;
}

type Tree = Readonly<Record<string, unknown>>;

const at = (value: unknown, key: string): unknown =>
  key.split('.').reduce<unknown>((node, name) => (node as Tree | null | undefined)?.[name], value);

/** A layer of single keys, each with the place at which its value was written. */
function layerOf(entries: readonly (readonly [key: string, value: unknown, origin: Origin])[]): Layer {
  let value: Tree = {};
  const withKey = (tree: unknown, [name = '', ...rest]: readonly string[], leaf: unknown): Tree => ({
    ...(tree as Tree),
    [name]: rest.length === 0 ? leaf : withKey((tree as Tree | undefined)?.[name], rest, leaf),
  });
  for (const [key, leaf] of entries.map(([name, each]) => [name, each] as const))
    value = withKey(value, key.split('.'), leaf);
  return { value, origins: new Map(entries.map(([key, , origin]) => [key, origin])) };
}

const decides: Readonly<Record<string, boolean>> = decidesNumbers;

/** The written keys of a part of the file that decide numbers. */
const decidedOf = (part: string, value: unknown): Tree =>
  Object.fromEntries(
    Object.entries((value ?? {}) as Tree).filter(([key]) => decides[`${part}.${key}`] !== false),
  );

/** What makes a cell of a grid a topology. */
export interface CellSetting {
  readonly base: Layer;
  /** Path of the sweep file. */
  readonly file: string;
  /** Of a job; null: those of the base. */
  readonly devices: readonly string[] | null;
}

/**
 * The topology of a cell: the base with the values of its axes, evaluated after its last step.
 *
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID with every problem of it, at the places of the sweep file
 */
export function resolveCell(cell: GridCell, { base, file, devices }: CellSetting): SweepCell {
  const { assignment, name } = cell;
  const originOfAxis = (axis: string): Origin => cell.origins.get(axis) ?? originOf(base, '');
  const problem = (axis: string, rule: string): TopologyError =>
    new TopologyError([
      {
        ...originOfAxis(axis).value,
        code: 'TROUPE_TOPOLOGY_RANGE',
        key: axis,
        value: assignment.get(axis),
        rule,
        nearest: null,
      },
    ] satisfies readonly TopologyProblem[]);
  const resolve = (layer: Layer): ResolvedTopology =>
    resolveComposed({ layer, problems: [], files: [file] }, { path: file, set: [] });

  if (assignment.has('tokens') && assignment.has('steps'))
    throw problem('steps', 'follow from the tokens; name one of the two axes');
  const ofVariant = [...cell.set].map(([key, value]) => [key, value, originOfAxis(VARIANT_AXIS)] as const);
  const plain = [...assignment].flatMap(([axis, value]) => {
    if (axis === VARIANT_AXIS) return [];
    const key = isAxisName(axis) ? axisKeys[axis] : axis;
    return key === null ? [] : [[key, value, originOfAxis(axis)] as const];
  });
  const { granularity, expansion } = shapeOfExperts(cell, base, problem);
  const origin = originOfAxis('granularity');
  const experts: readonly (readonly [string, unknown, Origin])[] =
    assignment.get('granularity') === DENSE
      ? [['model.moe', null, origin]]
      : assignment.has('granularity') || assignment.has('expansion')
        ? [
            ['model.moe.experts', expansion * granularity, origin],
            ['model.moe.topK', granularity, origin],
            ['model.moe.granularity', granularity, origin],
          ]
        : [];
  const written = mergeLayers(base, layerOf([...ofVariant, ...plain, ...experts]));
  const tokens = assignment.get('tokens');
  const sized =
    tokens === undefined ? written : withTokens(written, tokens, resolve, problem, originOfAxis('tokens'));
  const { steps } = resolve(sized).train;
  const here = originOf(base, '');
  const says = (key: string): boolean => at(sized.value, key) !== undefined;
  const whole = mergeLayers(
    sized,
    layerOf([
      ...(name.length <= 64 ? ([['name', name, here]] as const) : []),
      ...(says('eval.every') ? [] : ([['eval.every', steps, here]] as const)),
      ...(says('checkpoint.every') ? [] : ([['checkpoint.every', Math.ceil(steps / 10), here]] as const)),
      ...(devices === null ? [] : ([['machines', [{ host: 'localhost', devices }], here]] as const)),
    ]),
  );
  const topology = resolve(whole);
  const { moe } = topology.model;
  return {
    name,
    axes: Object.fromEntries(assignment),
    topology,
    granularity: moe === null ? 1 : topology.model.ffn.dFf / moe.dExpert,
    expansion: moe === null ? 1 : (moe.experts * moe.dExpert) / topology.model.ffn.dFf,
    decided: {
      model: at(whole.value, 'model') ?? {},
      data: at(whole.value, 'data') ?? {},
      train: decidedOf('train', at(whole.value, 'train')),
      wire: at(whole.value, 'wire.dtype') ?? null,
      eval: at(whole.value, 'eval.batches') ?? null,
    },
  };
}

/** Granularity and expansion of a cell; those of the base where no axis says them. */
function shapeOfExperts(
  { assignment }: GridCell,
  base: Layer,
  problem: (axis: string, rule: string) => TopologyError,
): { readonly granularity: number; readonly expansion: number } {
  const whole = (axis: string, fallback: unknown): number => {
    const value = assignment.get(axis) ?? fallback;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
    throw problem(
      axis,
      axis === 'granularity'
        ? 'must be a whole number ≥ 1, or dense'
        : 'must be a whole number ≥ 1; name it in the grid',
    );
  };
  if (assignment.get('granularity') === DENSE) return { granularity: 1, expansion: 1 };
  if (!assignment.has('granularity') && !assignment.has('expansion')) return { granularity: 1, expansion: 1 };
  const ofBase = at(base.value, 'model.moe.granularity') ?? 1;
  const granularity = whole('granularity', ofBase);
  const experts = at(base.value, 'model.moe.experts');
  const usual = typeof experts === 'number' && typeof ofBase === 'number' ? experts / ofBase : undefined;
  return { granularity, expansion: whole('expansion', usual) };
}

/** As many whole steps as come nearest to the tokens that are asked for. */
function withTokens(
  layer: Layer,
  tokens: unknown,
  resolve: (layer: Layer) => ResolvedTopology,
  problem: (axis: string, rule: string) => TopologyError,
  origin: Origin,
): Layer {
  if (!(typeof tokens === 'number' && Number.isFinite(tokens) && tokens > 0))
    throw problem('tokens', 'must be a number > 0, such as 1e6 or 1M');
  const { train, model } = resolve(layer);
  const steps = Math.max(1, Math.round(tokens / (train.batch * model.seqLen)));
  return mergeLayers(layer, layerOf([['train.steps', steps, origin]]));
}
