import { availableParallelism } from 'node:os';
import { quantityOf } from '@troupe/core';
import { loadSweep, type Sweep, type SweepCell } from '@troupe/topology';
import { UsageError } from '../errors.ts';
import { cellHash } from './cell-hash.ts';
import { CellFolder } from './cell-folder.ts';
import { cellSizes, type CellSizes } from './cell-sizes.ts';
import { corporaOf, refuseRepetition, type CellCorpus } from './corpora.ts';
import { Estimate } from './estimate.ts';
import { RowsFile } from './rows-file.ts';
import { isFailed } from './sweep-row.ts';

/** What is there of a cell before a sweep begins. */
export type BeforeState = 'done' | 'new' | 'begun' | 'changed' | 'failed';

export interface OpenedCell {
  readonly cell: SweepCell;
  readonly hash: string;
  readonly sizes: CellSizes;
  readonly corpus: CellCorpus;
  readonly folder: CellFolder;
  readonly before: BeforeState;
}

export interface OpenedSweep {
  readonly sweep: Sweep;
  readonly rows: RowsFile;
  /** Of all cells. */
  readonly folder: string;
  readonly cells: readonly OpenedCell[];
  readonly estimate: Estimate;
}

/** `--only router=token-choice,expert-choice` */
export interface OnlyFlag {
  readonly axis: string;
  readonly values: readonly string[];
}

/** Tokens may be said as `1M`. */
const isSaid = (axis: string, said: string, value: unknown): boolean =>
  said === String(value) || (axis === 'tokens' && quantityOf(said) === value);

/** Cells that have one of the values of every flag; a cell without such an axis stays. */
function chosen(cells: readonly SweepCell[], only: readonly OnlyFlag[]): readonly SweepCell[] {
  for (const { axis } of only)
    if (!cells.some(({ axes }) => Object.hasOwn(axes, axis)))
      throw new UsageError(
        `--only ${axis}: no cell has such an axis; there are ${[...new Set(cells.flatMap(({ axes }) => Object.keys(axes)))].join(', ')}`,
      );
  const found = cells.filter(({ axes }) =>
    only.every(
      ({ axis, values }) =>
        !Object.hasOwn(axes, axis) || values.some((value) => isSaid(axis, value, axes[axis])),
    ),
  );
  if (found.length === 0)
    throw new UsageError(
      `--only ${only.map(({ axis, values }) => `${axis}=${values.join(',')}`).join(' ')}: no cell has these values; --dry-run lists the cells`,
    );
  return found;
}

/** Reads a sweep, its rows and what earlier sweeps left, and opens its texts. */
export async function openSweep(file: string, only: readonly OnlyFlag[]): Promise<OpenedSweep> {
  const sweep = loadSweep(file, { cores: availableParallelism() });
  const rows = RowsFile.open(sweep.out);
  const folder = `${sweep.out}.runs`;
  const some = chosen(sweep.cells, only);
  const corpora = await corporaOf(some);
  if (sweep.epochs === 'refuse') refuseRepetition(some, corpora);
  const known = new Map(rows.rows.map((row) => [row.name, row]));
  const estimate = new Estimate();
  const cells = some.map((cell, index): OpenedCell => {
    const hash = cellHash(cell.decided);
    const row = known.get(cell.name);
    const cellFolder = new CellFolder(folder, cell.name, hash);
    const isSame = row?.hash === hash;
    if (row !== undefined && isSame && !isFailed(row)) estimate.add(cell, row.tokensPerSecond);
    const before =
      row === undefined ? cellFolder.state : !isSame ? 'changed' : isFailed(row) ? 'failed' : 'done';
    const corpus = corpora[index] ?? { tokens: null, epochs: null, hasHeldOut: false };
    return { cell, hash, sizes: cellSizes(cell), corpus, folder: cellFolder, before };
  });
  return { sweep, rows, folder, cells, estimate };
}
