import { dirname, isAbsolute, join } from 'node:path';
import { composeTopology, locate, type Composed } from '../compose.ts';
import { originOf, parseLayer, type Layer } from '../document.ts';
import { TopologyError } from '../errors.ts';
import { mergeLayers } from '../layers.ts';
import { nearestName } from '../nearest.ts';
import { nowhere, type TopologyProblem } from '../problem.ts';
import { presetNames, presetPath, readTopologyFile } from '../read.ts';
import { codeOf } from '../validate.ts';
import { resolveCell, type SweepCell } from './cell.ts';
import { gridCells } from './grid.ts';
import { expectations, sweepSchema, type SweepValues } from './sweep-schema.ts';

export type { SweepCell } from './cell.ts';

/** A grid of trainings. */
export interface Sweep {
  /** File of rows. */
  readonly out: string;
  /** Trainings at once. */
  readonly jobs: number;
  readonly epochs: 'refuse' | 'allow';
  readonly keepCheckpoints: boolean;
  readonly cells: readonly SweepCell[];
}

const sources = () => ({ presetNames: presetNames(), presetPath, read: readTopologyFile });

/** Problems shown of cells that fail alike. */
const CELLS_SHOWN = 3;

/**
 * Reads a sweep file, and makes a topology of each of its cells.
 *
 * @param file - path of the sweep file
 * @param options - `cores`: of this machine; a job has its share of them as threads of one device where neither `devices` nor the base says
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID with everything that is wrong, in the sweep file or in a cell
 */
export function loadSweep(file: string, { cores }: { readonly cores: number }): Sweep {
  const text = readTopologyFile(file);
  if (text === null)
    throw new TopologyError(
      [
        {
          ...nowhere,
          code: 'TROUPE_TOPOLOGY_NOT_FOUND',
          key: '',
          value: file,
          rule: 'there is no such file',
          nearest: null,
        },
      ],
      'sweep',
    );
  const { layer, problems } = parseLayer(text, file);
  if (problems.length > 0) throw new TopologyError(problems, 'sweep');
  const values = readValues(layer);
  const base = baseOf(values, layer, file);
  const { cells: grid, problems: ofGrid } = gridCells(values, layer);
  if (base.problems.length + ofGrid.length > 0)
    throw new TopologyError([...base.problems, ...ofGrid], 'sweep');
  const devices = values.devices ?? usualDevices(base.layer, cores, values.jobs);
  return {
    out: isAbsolute(values.out) ? values.out : join(dirname(file), values.out),
    jobs: values.jobs,
    epochs: values.epochs,
    keepCheckpoints: values.keepCheckpoints,
    cells: resolveAll(grid, { base: base.layer, file, devices }),
  };
}

/** @throws {TopologyError} with every problem of the file's own keys */
function readValues(layer: Layer): SweepValues {
  const result = sweepSchema.safeParse(layer.value ?? {});
  if (result.success) return result.data;
  const names = Object.keys(expectations);
  const problems = result.error.issues.flatMap((issue): readonly TopologyProblem[] => {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        ...originOf(layer, key).key,
        code: 'TROUPE_TOPOLOGY_UNKNOWN_KEY',
        key,
        value: undefined,
        rule: `no such key in a sweep; there are ${names.join(', ')}`,
        nearest: nearestName(key, names),
      }));
    const key = path.join('.');
    const value = path.reduce<unknown>(
      (node, name) => (node as Readonly<Record<string, unknown>> | undefined)?.[name],
      layer.value,
    );
    const rule = expectations[path[0] ?? ''] ?? issue.message;
    return [
      { ...originOf(layer, key).value, code: codeOf(issue, value, key), key, value, rule, nearest: null },
    ];
  });
  throw new TopologyError(problems, 'sweep');
}

/** Keys below one, as a layer of their own. */
function below(layer: Layer, key: string): Layer {
  const value = (layer.value as Readonly<Record<string, unknown>>)[key];
  const top = originOf(layer, key);
  const own = [...layer.origins].filter(([each]) => each.startsWith(`${key}.`));
  return {
    value,
    origins: new Map([
      ['', top],
      ...own.map(([each, origin]) => [each.slice(key.length + 1), origin] as const),
    ]),
  };
}

/** The base: a file or preset, or keys of the sweep file that may extend one. */
function baseOf({ base }: SweepValues, layer: Layer, file: string): Composed {
  const known = sources();
  if (typeof base === 'string') return composeTopology(locate(base, dirname(file), known), known);
  const own = below(layer, 'base');
  const { extends: name } = base;
  if (typeof name !== 'string') return { layer: own, problems: [], files: [file] };
  const extended = composeTopology(locate(name, dirname(file), known), known);
  return { ...extended, layer: mergeLayers(extended.layer, own) };
}

/** One device with a job's share of the cores; null: the base says which. */
function usualDevices(base: Layer, cores: number, jobs: number): readonly string[] | null {
  if (base.origins.has('machines') || base.origins.has('parallel')) return null;
  return [`cpu:0/threads=${Math.max(1, Math.floor(cores / jobs))}`];
}

/** @throws {TopologyError} naming the cells that cannot be, and why the first ones cannot */
function resolveAll(
  grid: ReturnType<typeof gridCells>['cells'],
  setting: Parameters<typeof resolveCell>[1],
): readonly SweepCell[] {
  const cells: SweepCell[] = [];
  const failed: { readonly name: string; readonly problems: readonly TopologyProblem[] }[] = [];
  for (const cell of grid)
    try {
      cells.push(resolveCell(cell, setting));
    } catch (error) {
      if (!(error instanceof TopologyError)) throw error;
      failed.push({ name: cell.name, problems: error.problems });
    }
  const shown = failed.slice(0, CELLS_SHOWN);
  if (shown.length > 0)
    throw new TopologyError(
      shown.flatMap(({ name, problems }) =>
        problems.map((each) => ({ ...each, rule: `${each.rule} (cell ${name})` })),
      ),
      `sweep has ${failed.length} of ${grid.length} cells that cannot be trained; it`,
    );
  return cells;
}
