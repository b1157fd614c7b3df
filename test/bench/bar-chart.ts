/** A bar's length, and the ends of its whisker. */
export interface Measure {
  readonly value: number;
  readonly least?: number;
  readonly most?: number;
}

export interface Bar {
  readonly label: string;
  /** Drawn in the accent colour. */
  readonly ours: boolean;
  /** One for each panel; null where there is none. */
  readonly values: readonly (Measure | null)[];
}

export interface Panel {
  readonly title: string;
  /** Behind the decimal point of the written values. */
  readonly digits: number;
}

export interface BarChart {
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly bars: readonly Bar[];
}

const WIDTH = 900;
/** Of a letter of a label, on the wide side. */
const LETTER_WIDTH = 7.4;
const ROW = 26;
const BAR = 16;
const HEAD = 66;
const FOOT = 14;
/** Room for the written value at the end of the longest bar. */
const VALUE_WIDTH = 62;
const PANEL_GAP = 24;

// Readable on GitHub's white and on its dark page: the picture brings its own ground for both.
const style = `
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .panel { font-size: 12px; fill: #59636e; }
  .value { font-size: 12px; font-variant-numeric: tabular-nums; }
  .ground { fill: #ffffff; }
  .ours { fill: #0969da; }
  .other { fill: #afb8c1; }
  .whisker { stroke: #1f2328; stroke-width: 1; opacity: 0.55; fill: none; }
  .axis { stroke: #818b98; stroke-width: 1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .panel { fill: #9198a1; }
    .ground { fill: #0d1117; }
    .ours { fill: #4493f8; }
    .other { fill: #656c76; }
    .whisker { stroke: #f0f6fc; }
    .axis { stroke: #656c76; }
  }
`;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const at = (pixels: number): string => pixels.toFixed(1).replace(/\.0$/u, '');

/**
 * Horizontal bars, a row for each label and a panel for each quantity, as a standalone SVG.
 *
 * Scales begin at 0 and each panel has its own.
 */
export function drawBars({ title, panels, bars }: BarChart): string {
  const height = HEAD + bars.length * ROW + FOOT;
  const labelWidth = 26 + LETTER_WIDTH * Math.max(0, ...bars.map(({ label }) => label.length));
  const panelWidth = (WIDTH - labelWidth) / panels.length - PANEL_GAP;
  const labels = bars.map(
    ({ label }, row) =>
      `<text x="${at(labelWidth - 10)}" y="${middle(row) + 4}" text-anchor="end">${escaped(label)}</text>`,
  );
  const drawn = panels.map((panel, index) =>
    drawPanel(
      panel,
      bars.map(({ values, ours }) => ({ measure: values[index] ?? null, ours })),
      { x: labelWidth + index * (panelWidth + PANEL_GAP), width: panelWidth - VALUE_WIDTH },
    ),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${style}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}" rx="6"/>`,
    `<text class="title" x="16" y="26">${escaped(title)}</text>`,
    ...labels,
    ...drawn,
    '</svg>',
    '',
  ].join('\n');
}

const middle = (row: number): number => HEAD + row * ROW + ROW / 2;

function drawPanel(
  { title, digits }: Panel,
  rows: readonly { readonly measure: Measure | null; readonly ours: boolean }[],
  { x, width }: { readonly x: number; readonly width: number },
): string {
  const longest = Math.max(
    0,
    ...rows.map(({ measure }) => Math.max(measure?.value ?? 0, measure?.most ?? 0)),
  );
  const scale = longest === 0 ? 0 : width / longest;
  const bars = rows.map(({ measure, ours }, row) => {
    if (measure === null) return '';
    const { value, least, most } = measure;
    const y = middle(row);
    const whisker =
      least === undefined || most === undefined
        ? ''
        : `<path class="whisker" d="M${at(x + least * scale)} ${y - 4}v8m0 -4H${at(x + most * scale)}m0 -4v8"/>`;
    return [
      `<rect class="${ours ? 'ours' : 'other'}" x="${at(x)}" y="${y - BAR / 2}" width="${at(value * scale)}" height="${BAR}" rx="2"/>`,
      whisker,
      `<text class="value" x="${at(x + Math.max(value, most ?? 0) * scale + 6)}" y="${y + 4}">${value.toFixed(digits)}</text>`,
    ].join('');
  });
  const bottom = HEAD + rows.length * ROW;
  return [
    `<text class="panel" x="${at(x)}" y="${HEAD - 14}">${escaped(title)}</text>`,
    ...bars,
    `<line class="axis" x1="${at(x)}" x2="${at(x)}" y1="${HEAD - 4}" y2="${bottom}"/>`,
  ].join('\n');
}
