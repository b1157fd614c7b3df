import { print, printError, printJson } from '../output.ts';
import { duration } from '../run/numbers.ts';
import { modelOf } from './estimate.ts';
import { measurePace } from './measure-pace.ts';
import type { OpenedCell, OpenedSweep } from './opened-sweep.ts';
import { isFailed } from './sweep-row.ts';

/** Steps of each model. */
const STEPS = 24;

/**
 * Measures how fast the models of done cells train, and writes it into their rows, losses untouched: for a sweep whose machine did other
 * things meanwhile, so that its seconds say little.
 *
 * @returns whether every model could be measured
 */
export async function measureDone({ cells, rows }: OpenedSweep, isJson: boolean): Promise<boolean> {
  const byModel = new Map<string, OpenedCell[]>();
  for (const each of cells) {
    if (each.before !== 'done') continue;
    const model = modelOf(each.cell);
    byModel.set(model, [...(byModel.get(model) ?? []), each]);
  }
  let isWhole = true;
  for (const alike of byModel.values()) {
    const [first] = alike;
    if (first === undefined) continue;
    const pace = await measurePace(first.cell, STEPS);
    if (typeof pace === 'string') {
      printError(`troupe: ${first.cell.name} cannot be measured: ${pace}`);
      isWhole = false;
      continue;
    }
    const names = new Set(alike.map(({ cell }) => cell.name));
    for (const row of rows.rows)
      if (names.has(row.name) && !isFailed(row))
        rows.put({ ...row, tokensPerSecond: pace, seconds: row.tokens / pace, paceSteps: STEPS });
    const said = { names: [...names], tokensPerSecond: pace, steps: STEPS };
    if (isJson) printJson({ event: 'pace', ...said });
    else
      print(
        `${[...names].join(', ')}: ${Math.round(pace)} tokens/s, ${duration(1e6 / pace)} for a million tokens`,
      );
  }
  return isWhole;
}
