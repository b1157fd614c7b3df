const HEIGHT = 8;
const WIDTH_MAX = 60;

/** Means of `columns` equal stretches of the curve. */
function columnsOf(losses: readonly number[], columns: number): readonly number[] {
  return Array.from({ length: columns }, (_, column) => {
    const from = Math.floor((column * losses.length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * losses.length) / columns));
    const part = losses.slice(from, to);
    return part.reduce((sum, loss) => sum + loss, 0) / part.length;
  });
}

/**
 * A loss curve as lines of text: the loss at the left, steps below.
 *
 * @param points - finite or not; what is not finite is left out, and counted in a line below. Fewer than two finite ones give no chart
 */
export function lossChart(
  points: readonly { readonly step: number; readonly loss: number }[],
): readonly string[] {
  const finite = points.filter(({ loss }) => Number.isFinite(loss));
  const [first, last] = [finite[0], finite.at(-1)];
  const numLost = points.length - finite.length;
  const lost =
    numLost === 0 ? [] : [`${' '.repeat(10)}overflow: ${numLost} of ${points.length} steps have no loss`];
  if (first === undefined || last === undefined || first === last) return lost;
  const losses = columnsOf(
    finite.map(({ loss }) => loss),
    Math.min(WIDTH_MAX, finite.length),
  );
  const [top, bottom] = [Math.max(...losses), Math.min(...losses)];
  const row = (loss: number): number =>
    top === bottom ? 0 : Math.round(((top - loss) / (top - bottom)) * (HEIGHT - 1));
  const lines = Array.from({ length: HEIGHT }, (_, index) => {
    const label = (top - ((top - bottom) * index) / (HEIGHT - 1)).toFixed(3);
    return `${label.padStart(8)} ┤${losses.map((loss) => (row(loss) === index ? '•' : ' ')).join('')}`.trimEnd();
  });
  const [left, right] = [`step ${first.step}`, `step ${last.step}`];
  return [
    ...lines,
    `${' '.repeat(9)}└${'─'.repeat(losses.length)}`,
    `${' '.repeat(10)}${left}${right.padStart(Math.max(right.length + 1, losses.length - left.length))}`,
    ...lost,
  ];
}
