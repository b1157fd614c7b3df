import { legalSizes, type AskedSizes, type FlopsCost } from '@troupe/scaling';
import { table } from '@troupe/topology';
import { OutputFile } from '../output-file.ts';
import { budgetTopology } from './budget-topology.ts';
import { figure } from './figure.ts';
import { lawParameters } from './law-parameters.ts';

/** Most that a written size is off what the budget asked for. */
const TOLERANCE = 0.05;

interface WriteFlags {
  readonly batchTokens: number;
  readonly seqLen: number;
  readonly force?: boolean;
}

/** What was asked for and what the file has. */
interface Written {
  readonly name: 'paramsActive' | 'paramsTotal' | 'tokens' | 'flops';
  readonly asked: number;
  readonly written: number;
  /** Signed, as a share of what was asked for. */
  readonly off: number;
}

export interface WrittenBudget {
  readonly file: string;
  readonly sizes: readonly Written[];
  /** Sizes that are off by more than 5 %. */
  readonly misses: readonly string[];
}

const labels = { paramsActive: 'active', paramsTotal: 'total', tokens: 'tokens', flops: 'FLOPs' } as const;

export interface AskedBudget extends AskedSizes {
  readonly params: number;
}

/**
 * Writes a topology of the nearest legal sizes, and compares: parameters as its own list has them, FLOPs as the law counts them.
 *
 * @param said - lines for the head of the file
 */
export async function writeBudget(
  file: string,
  asked: AskedBudget,
  { batchTokens, seqLen, force }: WriteFlags,
  cost: FlopsCost,
  said: readonly string[],
): Promise<WrittenBudget> {
  const taken = force === true ? null : 'pass --force to overwrite it, or name another file';
  const output = new OutputFile('--write', file, taken);
  const sizes = legalSizes(asked, { batchTokens, seqLen, cost });
  output.write(budgetTopology(sizes, said));
  const { loadTopology } = await import('@troupe/topology');
  const { model, train } = loadTopology(file);
  const { active, total } = lawParameters(model);
  const compare = (name: Written['name'], was: number, written: number): Written => ({
    name,
    asked: was,
    written,
    off: written / was - 1,
  });
  const rows = [
    compare('paramsActive', asked.paramsActive, active),
    compare('paramsTotal', asked.params, total),
    compare('tokens', asked.tokens, train.steps * train.batch * model.seqLen),
    compare('flops', asked.flops, sizes.flops),
  ];
  const misses = rows
    .filter(({ off }) => !(Math.abs(off) <= TOLERANCE))
    .map(
      ({ name, off }) =>
        `${labels[name]} of ${file} are ${(100 * off).toFixed(1)} % off what the budget asks for: no legal size is nearer`,
    );
  return { file, sizes: rows, misses };
}

/** Asked against written, for people. */
export function formatWritten({ sizes }: WrittenBudget): string {
  return table(
    ['', 'asked', 'written', 'off'],
    sizes.map(({ name, asked, written, off }) => [
      labels[name],
      name === 'flops' ? asked.toExponential(2) : figure(asked),
      name === 'flops' ? written.toExponential(2) : figure(written),
      `${off < 0 ? '-' : '+'}${Math.abs(100 * off).toFixed(1)} %`,
    ]),
    1,
  );
}
