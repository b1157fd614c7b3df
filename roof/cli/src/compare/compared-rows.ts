import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { CurvePoint, LossCurve, PartOfLoss, SeededLoss } from '@troupe/scaling';
import { UsageError } from '../errors.ts';
import { codeOf } from '../output-file.ts';
import { shownLine } from '../sweep/sweep-row.ts';
import { heldOutCurve, readComparedRuns } from './compared-run.ts';

/** A row of a sweep that was evaluated. */
export interface ComparedRow extends SeededLoss {
  readonly name: string;
  /** Of its training, as far as it is still there. */
  readonly folder: string | null;
}

/** `moe-s1` → `moe`, `prune/s1/half` → `prune/half`: what its seeds have in common. */
const groupOf = (name: string): string => name.replace(/[-/]s\d+(?=\/|$)/u, '');

export const isRowsFile = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isFile() === true;

function readRow(line: string, place: string, folder: string): readonly ComparedRow[] {
  let row: Readonly<Record<string, unknown>>;
  try {
    row = JSON.parse(line) as typeof row;
  } catch {
    throw new UsageError(`${place}: ${shownLine(line)} is not JSON; each line is one run`);
  }
  const { name, heldOutLoss, heldOutParts } = row;
  if (typeof name !== 'string')
    throw new UsageError(`${place}: ${shownLine(line)} has no name; name a file of rows of troupe sweep`);
  if (typeof heldOutLoss !== 'number') return [];
  const run = join(folder, name);
  return [
    {
      name,
      group: groupOf(name),
      loss: heldOutLoss,
      parts: Array.isArray(heldOutParts) ? (heldOutParts as readonly PartOfLoss[]) : [],
      folder: existsSync(join(run, 'metrics.jsonl')) ? run : null,
    },
  ];
}

/** @throws {UsageError} for what cannot be read, is no row, or has no held-out loss at all */
export function readComparedRows(path: string): readonly ComparedRow[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`'${path}' cannot be read (${codeOf(error)})`);
  }
  const rows = text
    .split('\n')
    .flatMap((line, index) =>
      line.trim() === '' ? [] : readRow(line, `${path}:${index + 1}`, `${path}.runs`),
    );
  if (rows.length > 0) return rows;
  throw new UsageError(`${path} has no row with a held-out loss; train with data.holdout above 0`);
}

/** The mean of curves at the updates that all of them have. */
function meanCurve(name: string, curves: readonly LossCurve[]): LossCurve {
  const [first, ...others] = curves;
  const points = (first?.points ?? []).flatMap((point): readonly CurvePoint[] => {
    const same = [
      point,
      ...others.flatMap(({ points }) => points.filter((each) => each.updates === point.updates)),
    ];
    if (same.length < curves.length) return [];
    const mean = (of: (point: CurvePoint) => number): number =>
      same.reduce((sum, each) => sum + of(each), 0) / same.length;
    return [{ ...point, tokens: Math.round(mean(({ tokens }) => tokens)), loss: mean(({ loss }) => loss) }];
  });
  return { name, points };
}

/** Held-out losses of each group as the mean of its seeds; groups of which a run folder is gone are left out. */
export async function curvesOfRows(rows: readonly ComparedRow[]): Promise<readonly LossCurve[]> {
  const curves: LossCurve[] = [];
  for (const group of new Set(rows.map((row) => row.group))) {
    const folders = rows.filter((row) => row.group === group).map(({ folder }) => folder);
    const known = folders.flatMap((folder) => folder ?? []);
    if (known.length < folders.length) continue;
    const curve = meanCurve(group, (await readComparedRuns(known)).map(heldOutCurve));
    if (curve.points.length > 0) curves.push(curve);
  }
  return curves;
}
