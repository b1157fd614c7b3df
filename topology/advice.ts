import { evenGrains } from './plan/shrink/even-grains.ts';
import { nowhere, showPlace, type Place } from './problem.ts';
import type { ResolvedTopology } from './resolved.ts';

/** What is legal and yet hardly meant: where, and a sentence. */
export interface Advice extends Place {
  readonly key: string;
  readonly text: string;
}

/** Logits that begin with a larger standard deviation than this make the first losses several times ln(vocab). */
const LOGITS_MAX = 2;

function tiedHeadAdvice({ model }: ResolvedTopology): readonly Omit<Advice, keyof Place>[] {
  const { tiedHead, dModel, vocab, init } = model;
  const spread = init.embedding * Math.sqrt(dModel);
  if (!tiedHead || spread <= LOGITS_MAX) return [];
  const fits = Number((1 / Math.sqrt(dModel)).toPrecision(3));
  const text =
    `${init.embedding} with tiedHead: logits begin with a standard deviation of ${spread.toFixed(1)}, ` +
    `so the loss begins far above ln(vocab) = ${Math.log(vocab).toFixed(1)}; leave it out, or set ${fits}`;
  return [{ key: 'model.init.embedding', text }];
}

function tokenizerAdvice({ data }: ResolvedTopology): readonly Omit<Advice, keyof Place>[] {
  const { kind, file } = data.tokenizer;
  if (kind !== 'bytes' || file === null) return [];
  return [{ key: 'data.tokenizer.file', text: `kind bytes does not read ${file}; set kind: bpe to use it` }];
}

/** A run that is to go on with fewer machines, on whose devices its grains leave some without work. */
function shrinkAdvice(topology: ResolvedTopology): readonly Omit<Advice, keyof Place>[] {
  const { joining, recovery, train } = topology;
  if (recovery.machines !== 'shrink') return [];
  const { uneven, nearest } = evenGrains(topology, joining?.min ?? 1);
  if (uneven.length === 0) return [];
  const counts = uneven.toSorted((a, b) => a - b).join(', ');
  const hint =
    nearest === null
      ? 'no grains divide over all numbers of machines'
      : `${nearest.grains} with batch ${nearest.batch} would not`;
  const text = `${train.grains} leaves devices without work on ${counts} machines, should the run shrink; ${hint}`;
  return [{ key: 'train.grains', text }];
}

/** What a run of this topology should be told before it starts; nothing of it keeps it from running. */
export function adviceOn(topology: ResolvedTopology): readonly Advice[] {
  return [...tiedHeadAdvice(topology), ...tokenizerAdvice(topology), ...shrinkAdvice(topology)].map(
    (each) => ({
      ...(topology.source.places[each.key] ?? nowhere),
      ...each,
    }),
  );
}

/** One advice on one line: place, key, sentence. */
export function formatAdvice({ key, text, ...place }: Advice): string {
  const where = showPlace(place);
  return `warning: ${where === '' ? '' : `${where}  `}${key}: ${text}`;
}
