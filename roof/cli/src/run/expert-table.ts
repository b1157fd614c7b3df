import type { LayerChoices } from 'troupe';

/** Experts of a line. */
const IN_A_LINE = 8;

/**
 * Choices by layer and expert, with the share of those of the layer: eight experts a line, and at its start the first of them.
 */
export function expertTable(choices: readonly LayerChoices[]): readonly string[] {
  if (choices.length === 0) return ['the model has no experts to choose'];
  const widest = Math.max(...choices.flatMap(({ counts }) => counts.map((each) => String(each).length)));
  const lines = choices.flatMap(({ layer, counts }) => {
    const all = counts.reduce((sum, each) => sum + each, 0);
    const cell = (each: number): string =>
      `${String(each).padStart(widest)} ${`${((100 * each) / Math.max(1, all)).toFixed(1)}%`.padStart(6)}`;
    return Array.from({ length: Math.ceil(counts.length / IN_A_LINE) }, (_, line) => {
      const first = line * IN_A_LINE;
      const cells = counts.slice(first, first + IN_A_LINE).map(cell);
      return `${`L${layer}/expert${first}`.padEnd(14)} ${cells.join('  ')}`;
    });
  });
  return ['choices of held-out tokens, and their share of the layer:', ...lines];
}
