import { originOf, type Layer, type Origin } from '../document.ts';
import type { TopologyProblem } from '../problem.ts';
import {
  axisKeys,
  cellName,
  isAxisName,
  readAxisValue,
  SIZE_AXIS,
  VARIANT_AXIS,
  withoutIdleAxes,
  type Assignment,
} from './axes.ts';
import { CELLS_MAX, type SweepValues } from './sweep-schema.ts';

type Tree = Readonly<Record<string, unknown>>;

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What one cell varies, and where each value was written. */
export interface GridCell {
  readonly name: string;
  readonly assignment: Assignment;
  readonly origins: ReadonlyMap<string, Origin>;
  /** Dotted keys of a topology, and the values that its variant gives them. */
  readonly set: Assignment;
}

/** One value of an axis, or of the axes that vary together with it. */
interface Choice {
  readonly values: Assignment;
  readonly origin: Origin;
  /** Of a variant. */
  readonly set?: Assignment;
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);

/** Reads axes and their values at `key`, noting what is none. */
class AxisReader {
  readonly problems: TopologyProblem[] = [];
  readonly #layer: Layer;
  readonly #variants = new Map<string, Choice>();

  constructor(layer: Layer) {
    this.#layer = layer;
  }

  /** The choices of each axis of a map of axes. */
  read(axes: Tree, key: string): ReadonlyMap<string, readonly Choice[]> {
    return new Map(
      Object.entries(axes).map(([axis, values]) => {
        const path = `${key}.${axis}`;
        this.#checkName(axis, path);
        const isList = Array.isArray(values);
        return [
          axis,
          listOf(values).map((value, index) => this.#choice(axis, value, isList ? `${path}.${index}` : path)),
        ];
      }),
    );
  }

  #choice(axis: string, value: unknown, path: string): Choice {
    const origin = originOf(this.#layer, path);
    if (axis === VARIANT_AXIS) return this.#variant(value, path, origin);
    if (axis !== SIZE_AXIS) return { values: new Map([[axis, readAxisValue(axis, value)]]), origin };
    if (!isTree(value))
      this.#mind(path, value, 'must be a map of axes that vary together: { dModel: 64, layers: 4 }');
    const together = isTree(value) ? Object.entries(value) : [];
    for (const [name] of together) this.#checkName(name, `${path}.${name}`);
    return {
      values: new Map(together.map(([name, each]) => [name, readAxisValue(name, each)])),
      origin,
    };
  }

  /** A variant is written in full once, in the grid, and named in `only` and `also`. */
  #variant(value: unknown, path: string, origin: Origin): Choice {
    if (typeof value === 'string') {
      const known = this.#variants.get(value);
      if (known === undefined)
        this.#mind(path, value, `must be a variant of the grid: ${[...this.#variants.keys()].join(', ')}`);
      return known ?? { values: new Map(), origin };
    }
    const { name, set = {}, ...others } = isTree(value) ? value : {};
    const keys = isTree(set) ? Object.keys(set) : [''];
    const isWhole = typeof name === 'string' && name !== '' && Object.keys(others).length === 0;
    if (!isWhole || keys.some((key) => !key.includes('.')))
      this.#mind(
        path,
        value,
        'must be a name and dotted keys of a topology: { name: dense, set: { model.moe: null } }',
      );
    const choice: Choice = {
      values: new Map([[VARIANT_AXIS, name]]),
      origin,
      set: new Map(isTree(set) ? Object.entries(set) : []),
    };
    if (isWhole && this.#variants.has(name)) this.#mind(path, value, `is the second variant called ${name}`);
    if (isWhole) this.#variants.set(name, choice);
    return choice;
  }

  #checkName(axis: string, path: string): void {
    if (isAxisName(axis) || axis === SIZE_AXIS || axis === VARIANT_AXIS || axis.includes('.')) return;
    this.#mind(
      path,
      undefined,
      `no such axis; there are ${Object.keys(axisKeys).join(', ')}, ${SIZE_AXIS}, ${VARIANT_AXIS}, and every dotted key of a topology, such as train.optimizer.lr`,
    );
  }

  /** @param value - undefined: the key itself is wrong */
  #mind(key: string, value: unknown, rule: string): void {
    this.problems.push({
      ...originOf(this.#layer, key)[value === undefined ? 'key' : 'value'],
      code: value === undefined ? 'TROUPE_TOPOLOGY_UNKNOWN_KEY' : 'TROUPE_TOPOLOGY_TYPE',
      key,
      value,
      rule,
      nearest: null,
    });
  }
}

/** Every combination of one choice of each axis, the first axis slowest. */
function product(axes: ReadonlyMap<string, readonly Choice[]>): readonly GridCell[] {
  let cells: readonly Omit<GridCell, 'name'>[] = [
    { assignment: new Map(), origins: new Map(), set: new Map() },
  ];
  for (const choices of axes.values())
    cells = cells.flatMap((cell) =>
      choices.map(({ values, origin, set = new Map() }) => ({
        assignment: new Map([...cell.assignment, ...values]),
        origins: new Map([...cell.origins, ...[...values.keys()].map((axis) => [axis, origin] as const)]),
        set: new Map([...cell.set, ...set]),
      })),
    );
  return cells.map(({ assignment, ...others }) => {
    const used = withoutIdleAxes(assignment);
    return { name: cellName(used), assignment: used, ...others };
  });
}

const alike = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Whether a cell has one of the values that a pattern names for each of its axes; an axis that it lacks decides nothing. */
const matches = (cell: GridCell, pattern: ReadonlyMap<string, readonly Choice[]>): boolean =>
  [...pattern].every(([, choices]) =>
    choices.some(({ values }) =>
      [...values].every(
        ([name, value]) => !cell.assignment.has(name) || alike(cell.assignment.get(name), value),
      ),
    ),
  );

/**
 * The cells of a sweep: the product of the grid, of which `only` keeps those that match one of its patterns, and then those of `also`, whose
 * other axes have the first value of the grid. A cell that comes twice is one.
 */
export function gridCells(
  values: Pick<SweepValues, 'grid' | 'only' | 'also'>,
  layer: Layer,
): { readonly cells: readonly GridCell[]; readonly problems: readonly TopologyProblem[] } {
  const reader = new AxisReader(layer);
  const axes = reader.read(values.grid, 'grid');
  const patterns = values.only?.map((pattern, index) => reader.read(pattern, `only.${index}`));
  const extra = values.also.map((pattern, index) => reader.read(pattern, `also.${index}`));
  const numCells = [...axes.values()].reduce((all, choices) => all * choices.length, 1);
  if (reader.problems.length > 0) return { cells: [], problems: reader.problems };
  const refused = (rule: string) => ({ cells: [], problems: [problemOfGrid(layer, rule)] });
  if (numCells > CELLS_MAX) return refused(`has ${numCells} cells; a sweep has at most ${CELLS_MAX}`);
  const first = new Map([...axes].map(([axis, choices]) => [axis, choices.slice(0, 1)]));
  const all = [
    ...product(axes).filter((cell) => patterns?.some((pattern) => matches(cell, pattern)) ?? true),
    ...extra.flatMap((axesOfCell) => product(new Map([...first, ...axesOfCell]))),
  ];
  const cells = new Map<string, GridCell>();
  for (const cell of all) {
    const other = cells.get(cell.name);
    if (other !== undefined && !alike(sortedAxes(other), sortedAxes(cell)))
      return refused(
        `has two cells that are both called ${cell.name}; write their values so that their letters and digits differ`,
      );
    cells.set(cell.name, cell);
  }
  return { cells: [...cells.values()], problems: [] };
}

const sortedAxes = ({ assignment }: GridCell): readonly (readonly [string, unknown])[] =>
  [...assignment].sort(([a], [b]) => (a < b ? -1 : 1));

const problemOfGrid = (layer: Layer, rule: string): TopologyProblem => ({
  ...originOf(layer, 'grid').value,
  code: 'TROUPE_TOPOLOGY_RANGE',
  key: 'grid',
  value: undefined,
  rule,
  nearest: null,
});
