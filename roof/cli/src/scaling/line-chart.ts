import { scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';

export interface Series {
  readonly label: string;
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

function drawSeries({ label, points, isDashed, mark }: Series, index: number, x: Scale, y: Scale): string {
  const colour = colours[index % colours.length] ?? '';
  const dash = isDashed === true ? ' stroke-dasharray="6 4"' : '';
  const curve = line<readonly [number, number]>(
    ([value]) => x.of(value),
    ([, value]) => y.of(value),
  ).digits(1)(points);
  const legend = plot.top + 8 + index * LEGEND_ROW;
  return [
    `<path class="curve" stroke="${colour}"${dash} d="${curve ?? ''}"/>`,
    mark === undefined
      ? ''
      : `<circle cx="${at(x.of(mark[0]))}" cy="${at(y.of(mark[1]))}" r="4" fill="${colour}"/>`,
    `<path class="curve" stroke="${colour}"${dash} d="M${plot.right + 14} ${legend}h24"/>`,
    `<text x="${plot.right + 44}" y="${legend + 4}">${escaped(label)}</text>`,
  ].join('');
}

/** Curves over two axes, as a standalone SVG. */
export function drawLines({ title, x, y, series }: LineChart): string {
  const points = series.flatMap((each) => [...each.points]);
  const xScale = scaleOf(
    points.map(([value]) => value),
    x,
    plot.left,
    plot.right,
  );
  const yScale = scaleOf(
    points.map(([, value]) => value),
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
    ...series.map((each, index) => drawSeries(each, index, xScale, yScale)),
    '</svg>',
    '',
  ].join('\n');
}
