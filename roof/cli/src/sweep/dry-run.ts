import { table } from '@troupe/topology';
import { print, printError, printJson } from '../output.ts';
import { duration } from '../run/numbers.ts';
import { figure } from '../scaling/figure.ts';
import { modelOf } from './estimate.ts';
import { measurePace } from './measure-pace.ts';
import type { OpenedCell, OpenedSweep } from './opened-sweep.ts';
import { describeCorpora } from './sweep-report.ts';

/** Steps of a model whose time is estimated. */
const STEPS = 4;

const states = {
  done: 'done',
  new: '',
  begun: 'goes on',
  changed: 'changed: anew',
  failed: 'failed: again',
} as const;

/** Seconds of every cell that is not done; null: unknown. */
function secondsOf({ estimate }: OpenedSweep, { cell, before }: OpenedCell): number | null {
  return before === 'done' ? 0 : estimate.secondsOf(cell);
}

/** Trains a few steps of each model whose pace no row tells. */
async function measureAll(opened: OpenedSweep): Promise<void> {
  const { cells, estimate } = opened;
  const left = cells.filter(({ cell, before }) => before !== 'done' && !estimate.knows(cell));
  const models = new Map(left.map((each) => [modelOf(each.cell), each]));
  for (const { cell } of models.values()) {
    const measured = await measurePace(cell, STEPS);
    if (typeof measured === 'number') estimate.add(cell, measured);
    else printError(`troupe: ${cell.name} cannot be measured: ${measured}`);
  }
}

/** Says what a sweep would do: its cells, their sizes, and how long they would take as far as that is known. */
export async function dryRun(
  file: string,
  opened: OpenedSweep,
  flags: { readonly json?: boolean; readonly measure?: boolean },
): Promise<void> {
  if (flags.measure === true) await measureAll(opened);
  const { cells, sweep } = opened;
  const seconds = cells.map((cell) => secondsOf(opened, cell));
  const total = seconds.includes(null)
    ? null
    : seconds.reduce<number>((sum, each) => sum + (each ?? 0), 0) / sweep.jobs;
  if (flags.json === true) {
    for (const [index, { cell, hash, sizes, corpus, before }] of cells.entries()) {
      const { paramsActive, paramsTotal, tokens, flops } = sizes;
      printJson({
        event: 'cell',
        state: before,
        index: index + 1,
        of: cells.length,
        name: cell.name,
        hash,
        axes: cell.axes,
        paramsActive,
        paramsTotal,
        tokens,
        flops,
        corpusTokens: corpus.tokens,
        epochs: corpus.epochs,
        seconds: seconds[index] ?? null,
      });
    }
    printJson({ event: 'plan', cells: cells.length, seconds: total });
    return;
  }
  const rows = cells.map(({ cell, sizes, corpus, before }, index) => [
    cell.name,
    figure(sizes.paramsActive),
    figure(sizes.paramsTotal),
    figure(sizes.tokens),
    sizes.flops.toExponential(2),
    corpus.epochs === null ? '' : corpus.epochs.toFixed(2),
    seconds[index] == null ? '' : duration(seconds[index]),
    states[before],
  ]);
  print(
    table(['cell', 'active', 'total', 'tokens', 'FLOPs', 'epochs', 'time', ''], rows, 1),
    '',
    `${file}: ${cells.length} cells; ${describeCorpora(cells)}; rows go to ${opened.rows.path}`,
    total === null
      ? 'how long they take is not known yet; --measure trains four steps of each model to find out'
      : `about ${duration(total)} for those that are not done, ${sweep.jobs} at a time`,
  );
}
