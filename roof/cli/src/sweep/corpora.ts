import type { SweepCell } from '@troupe/topology';
import { openTopologyData } from 'troupe';
import { counted } from '@troupe/core';
import { UsageError } from '../errors.ts';
import { figure } from '../scaling/figure.ts';
import { cellSizes } from './cell-sizes.ts';

/** How much text a cell has. */
export interface CellCorpus {
  /** Tokens of training in whole sequences; null: tokens are drawn. */
  readonly tokens: number | null;
  /** How often the cell reads them; null: tokens are drawn. */
  readonly epochs: number | null;
  readonly hasHeldOut: boolean;
}

type Opened = Pick<CellCorpus, 'tokens' | 'hasHeldOut'>;

/** The text of every cell, opened once for all that read the same. */
export async function corporaOf(cells: readonly SweepCell[]): Promise<readonly CellCorpus[]> {
  const sizes = new Map<string, Promise<Opened>>();
  const found: CellCorpus[] = [];
  for (const cell of cells) {
    const { model, data } = cell.topology;
    const key = JSON.stringify([data, model.vocab, model.seqLen]);
    const opened = sizes.get(key) ?? open(cell);
    sizes.set(key, opened);
    const { tokens, hasHeldOut } = await opened;
    found.push({ tokens, hasHeldOut, epochs: tokens === null ? null : cellSizes(cell).tokens / tokens });
  }
  return found;
}

async function open({ topology }: SweepCell): Promise<Opened> {
  const { batches } = await openTopologyData(topology);
  const isDrawn = topology.data.source.kind === 'synthetic';
  return {
    tokens: isDrawn ? null : batches.numTrainWindows * batches.seqLen,
    hasHeldOut: batches.numEvalSequences > 0,
  };
}

/**
 * Refuses cells that would read a text more than once: laws know no repetition.
 *
 * @throws {UsageError} TROUPE_USAGE with the size of the text
 */
export function refuseRepetition(cells: readonly SweepCell[], corpora: readonly CellCorpus[]): void {
  const many = cells.flatMap((cell, index) => {
    const corpus = corpora[index];
    return corpus?.tokens != null && (corpus.epochs ?? 0) > 1 ? [{ cell, tokens: corpus.tokens }] : [];
  });
  const [first] = many;
  if (first === undefined) return;
  const asked = cellSizes(first.cell).tokens;
  throw new UsageError(
    `${counted(many.length, 'cell')} would read the text more than once: ${first.cell.name} asks for ${figure(asked)} tokens and the text has ${figure(first.tokens)}; ask for fewer, name a longer text, or write epochs: allow`,
  );
}
