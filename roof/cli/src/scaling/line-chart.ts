import { scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';

export interface Series {
  /** In the legend; an empty one stands there under another series of its colour. */
  readonly label: string;
  /** Position among the colours; default: that of the series. */
  readonly colour?: number;
  /** Each point is something that was measured, and has a dot. */
  readonly hasDots?: boolean;
  readonly points: readonly (readonly [number, number])[];
  /** Drawn broken, such as a law of another kind. */
  readonly isDashed?: boolean;
  /** A point that stands out. */
  readonly mark?: readonly [number, number];
}

export interface Axis {
  readonly title: string;
  readonly isLog: boolean;
  /** Default: round numbers; of a logarithmic axis powers of ten. */
  readonly ticks?: readonly number[];
  /** What stands at a tick; an empty text: it is left out. */
  readonly shown: (value: number) => string;
}

export interface LineChart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** Heights between which a curve says nothing. */
  readonly band?: { readonly from: number; readonly to: number; readonly label: string };
}

const WIDTH = 760;
const HEIGHT = 440;
const plot = { left: 70, right: WIDTH - 150, top: 46, bottom: HEIGHT - 52 };
/** Ticks that are wanted; an axis takes those near it that are round. */
const TICKS = 7;
const LEGEND_ROW = 20;

/** Distinct to people who see colours differently, on white and on black (Okabe and Ito's, without yellow and black). */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8a63d2', '#7f7f7f'];

// Readable on a white and on a dark page: the picture brings its own ground for both.
const style = `
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .tick { font-size: 12px; fill: #59636e; }
  .ground { fill: #ffffff; }
  .grid { stroke: #818b98; stroke-width: 1; opacity: 0.25; }
  .curve { fill: none; stroke-width: 2; }
  .band { fill: #818b98; opacity: 0.18; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .tick { fill: #9198a1; }
    .ground { fill: #0d1117; }
  }
`;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const at = (pixels: number): string => pixels.toFixed(1).replace(/\.0$/u, '');

interface Scale {
  readonly of: (value: number) => number;
  readonly ticks: readonly number[];
}

function scaleOf(values: readonly number[], { isLog, ticks }: Axis, from: number, to: number): Scale {
  const range = [from, to];
  const domain = [Math.min(...values), Math.max(...values)];
  if (ticks !== undefined) return { of: (isLog ? scaleLog : scaleLinear)(domain, range), ticks };
  if (!isLog) {
    const scale = scaleLinear(domain, range).nice(TICKS);
    return { of: scale, ticks: scale.ticks(TICKS) };
  }
  const scale = scaleLog(domain, range).nice();
  // A logarithmic scale gives ticks at 1 to 9 of each power: those that are powers, and of many each second or third.
  const powers = scale.ticks().filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e9) / 1e9));
  const each = Math.max(1, Math.ceil(powers.length / (TICKS + 3)));
  return { of: scale, ticks: powers.filter((_, index) => index % each === 0) };
}

const circle = ([x, y]: readonly [number, number], radius: number, colour: string): string =>
  `<circle cx="${at(x)}" cy="${at(y)}" r="${radius}" fill="${colour}"/>`;

/** @param row - in the legend; null: it is not there */
function drawSeries(series: Series, index: number, row: number | null, x: Scale, y: Scale): string {
  const { label, points, isDashed, mark, hasDots } = series;
  const colour = colours[(series.colour ?? index) % colours.length] ?? '';
  const dash = isDashed === true ? ' stroke-dasharray="6 4"' : '';
  const curve = line<readonly [number, number]>(
    ([value]) => x.of(value),
    ([, value]) => y.of(value),
  ).digits(1)(points);
  const place = ([value, height]: readonly [number, number]) => [x.of(value), y.of(height)] as const;
  const legend = plot.top + 8 + (row ?? 0) * LEGEND_ROW;
  return [
    `<path class="curve" stroke="${colour}"${dash} d="${curve ?? ''}"/>`,
    mark === undefined ? '' : circle(place(mark), 4, colour),
    ...(hasDots === true ? points.map((point) => circle(place(point), 3, colour)) : []),
    ...(row === null
      ? []
      : [
          `<path class="curve" stroke="${colour}"${dash} d="M${plot.right + 14} ${legend}h24"/>`,
          `<text x="${plot.right + 44}" y="${legend + 4}">${escaped(label)}</text>`,
        ]),
  ].join('');
}

function drawBand({ from, to, label }: NonNullable<LineChart['band']>, row: number, y: Scale): string {
  const legend = plot.top + 8 + row * LEGEND_ROW;
  return [
    `<rect class="band" x="${plot.left}" width="${plot.right - plot.left}" y="${at(y.of(to))}" height="${at(y.of(from) - y.of(to))}"/>`,
    `<rect class="band" x="${plot.right + 14}" width="24" y="${legend - 6}" height="12"/>`,
    `<text x="${plot.right + 44}" y="${legend + 4}">${escaped(label)}</text>`,
  ].join('');
}

/** Curves over two axes, as a standalone SVG. */
export function drawLines({ title, x, y, series, band }: LineChart): string {
  const points = series.flatMap((each) => [...each.points]);
  const xScale = scaleOf(
    points.map(([value]) => value),
    x,
    plot.left,
    plot.right,
  );
  const yScale = scaleOf(
    [...points.map(([, value]) => value), ...(band === undefined ? [] : [band.from, band.to])],
    y,
    plot.bottom,
    plot.top,
  );
  const xTicks = xScale.ticks.map((tick) => {
    const pixels = at(xScale.of(tick));
    return `<line class="grid" x1="${pixels}" x2="${pixels}" y1="${plot.top}" y2="${plot.bottom}"/><text class="tick" x="${pixels}" y="${plot.bottom + 18}" text-anchor="middle">${escaped(x.shown(tick))}</text>`;
  });
  const yTicks = yScale.ticks
    .filter((tick) => y.shown(tick) !== '')
    .map((tick) => {
      const pixels = yScale.of(tick);
      return `<line class="grid" x1="${plot.left}" x2="${plot.right}" y1="${at(pixels)}" y2="${at(pixels)}"/><text class="tick" x="${plot.left - 8}" y="${at(pixels + 4)}" text-anchor="end">${escaped(y.shown(tick))}</text>`;
    });
  const middle = (plot.top + plot.bottom) / 2;
  const named = series.filter(({ label }) => label !== '');
  const rowOf = (each: Series): number | null => (each.label === '' ? null : named.indexOf(each));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${style}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${HEIGHT}" rx="6"/>`,
    `<text class="title" x="16" y="26">${escaped(title)}</text>`,
    ...xTicks,
    ...yTicks,
    `<text class="tick" x="${(plot.left + plot.right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${escaped(x.title)}</text>`,
    `<text class="tick" x="18" y="${middle}" text-anchor="middle" transform="rotate(-90 18 ${middle})">${escaped(y.title)}</text>`,
    ...(band === undefined ? [] : [drawBand(band, named.length, yScale)]),
    ...series.map((each, index) => drawSeries(each, index, rowOf(each), xScale, yScale)),
    '</svg>',
    '',
  ].join('\n');
}

/** Charts below each other, as one standalone SVG. */
export function drawBelow(charts: readonly LineChart[]): string {
  const height = HEIGHT * charts.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    ...charts.map((chart, index) =>
      drawLines(chart)
        .replace('<svg ', `<svg y="${index * HEIGHT}" `)
        .trimEnd(),
    ),
    '</svg>',
    '',
  ].join('\n');
}
