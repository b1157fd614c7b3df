import type { RunStatus } from 'troupe/control';
import { duration } from '../run/numbers.ts';
import { layerLines } from './load-bars.ts';
import { doings, presence, waiting } from './node-states.ts';
import { checkpointWords, copiesWords, lossesWords, standing, timeLeft } from './status-lines.ts';

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/** Workers that a screen shows before it counts the rest; experts are what people come for. */
const NODES_SHOWN = 12;

const fitted = (line: string, columns: number): string =>
  line.length <= columns ? line : `${line.slice(0, columns - 1)}…`;

/** How much of the run is done, as a bar of a line. */
function progressBar({ step, of }: RunStatus, columns: number): string {
  const room = columns - 8;
  const share = of === 0 ? 1 : Math.min(1, step / of);
  const full = Math.round(share * room);
  return `${'━'.repeat(full)}${'─'.repeat(room - full)} ${(100 * share).toFixed(1).padStart(5)}%`;
}

function nodeTable({ nodes }: RunStatus): readonly string[] {
  if (nodes.length === 0) return [];
  const rest = nodes.length - NODES_SHOWN;
  return [
    'worker       queue  state        what its actors do',
    ...nodes
      .slice(0, NODES_SHOWN)
      .map(
        (node) =>
          `${node.node.padEnd(12)} ${String(waiting(node)).padStart(5)}  ${presence(node).padEnd(11)}  ${doings([node])}`,
      ),
    ...(rest > 0 ? [`and ${rest} more workers; troupe status --json has them all`] : []),
  ];
}

function expertTable({ experts: { steps, layers } }: RunStatus, columns: number): readonly string[] {
  if (layers.length === 0) return [];
  return [
    `experts, choices of ${steps === 1 ? 'the last step' : `the last ${steps} steps`}: ▄ as the mean, █ twice it, · none`,
    ...layers.flatMap((layer) => layerLines(layer, columns)),
  ];
}

/** A running run as a screen: at most so many lines, none wider than it. */
export function topScreen(status: RunStatus, { columns, rows }: ScreenSize): readonly string[] {
  const { name, state, seconds, secondsLeft, task, waits } = status;
  const left = secondsLeft === null ? '' : `, ${timeLeft(status)}`;
  const lines = [
    `${name}: ${state} for ${duration(seconds)}${left}${task === null ? '' : `, ${task}`}   (q quits)`,
    standing(status),
    progressBar(status, columns),
    `checkpoint   ${checkpointWords(status)}`,
    `second copy  ${copiesWords(status.copies)}`,
    `losses       ${lossesWords(status)}`,
    ...waits.slice(0, 2).map((each) => `waits        ${each}`),
    '',
    ...nodeTable(status),
    '',
    ...expertTable(status, columns),
  ].map((line) => fitted(line, columns));
  if (lines.length <= rows) return lines;
  const shown = lines.slice(0, Math.max(1, rows - 1));
  return [...shown, fitted(`… ${lines.length - shown.length} more lines in a taller terminal`, columns)];
}

/** The same as one line, where there is no screen. */
export function topLine(status: RunStatus): string {
  const { state, task, nodes, experts } = status;
  const hot = experts.layers.map((layer) => Math.max(...layer.loads));
  return [
    standing(status),
    ...(status.secondsLeft === null ? [] : [timeLeft(status)]),
    ...(hot.length === 0 ? [] : [`hottest expert ×${Math.max(...hot).toFixed(1)}`]),
    ...(state === 'running' ? [] : [state]),
    ...(task === null ? [] : [task]),
    ...nodes.filter((each) => presence(each) !== 'up').map((each) => `${each.node} ${presence(each)}`),
  ].join('  ');
}
