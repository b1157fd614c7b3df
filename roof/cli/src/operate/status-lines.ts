import type { RunStatus } from 'troupe/control';
import { count, duration, nats, percent } from '../run/numbers.ts';
import { describeRelayout } from '../run/relayout-words.ts';
import { dead } from './load-bars.ts';
import { doings, presence, presences } from './node-states.ts';

/** Nodes that are listed one by one. */
const NODES_LISTED = 8;
/** Sentences about who waits. */
const WAITS_LISTED = 4;

const ago = (seconds: number): string => `${duration(seconds)} ago`;

/** How long it will take, as it goes now. */
export const timeLeft = ({ secondsLeft }: RunStatus): string =>
  secondsLeft === null ? '' : `${duration(secondsLeft)} left`;

/** Where a run is: step, loss, speed. */
export function standing({ step, of, loss, tokensPerSecond, stepSeconds, kernelShare }: RunStatus): string {
  const parts = [
    `step ${step}/${of}`,
    `loss ${nats(loss)}`,
    ...(tokensPerSecond === null ? [] : [`${count(tokensPerSecond)} tokens/s`]),
    ...(stepSeconds === null ? [] : [`${stepSeconds.toPrecision(2)} s a step`]),
    ...(kernelShare === null ? [] : [`kernels ${percent(kernelShare)}`]),
  ];
  return parts.join('  ');
}

/** Whether all state lies on two workers. */
export function copiesWords({ shards, doubled }: RunStatus['copies']): string {
  if (shards === 0) return 'not known yet';
  if (doubled === shards) return `all ${shards} shards`;
  return doubled === 0
    ? `none of ${shards} shards: a lost worker takes the run back to the last checkpoint`
    : `${doubled} of ${shards} shards; the rest come back from the last checkpoint`;
}

export const checkpointWords = ({ checkpoint }: RunStatus): string =>
  checkpoint === null
    ? 'none yet'
    : `step ${checkpoint.step}, ${ago(checkpoint.secondsAgo)}: ${checkpoint.path}`;

export function lossesWords({ losses, recoveries, lastFault }: RunStatus): string {
  if (lastFault === null) return 'none';
  const counted = losses === 0 ? 'none' : `${losses}, ${recoveries} recovered from`;
  return `${counted}; last: ${lastFault}`;
}

function expertWords({ experts: { steps, layers } }: RunStatus): string {
  const loads = layers.flatMap((each) => each.loads);
  const most = Math.max(...loads);
  const layer = layers.find((each) => each.loads.includes(most));
  const gone = dead(loads);
  return `${gone === 0 ? 'none' : `${gone} of ${loads.length}`} dead in the last ${steps === 1 ? 'step' : `${steps} steps`}; hottest L${layer?.layer}/e${layer?.loads.indexOf(most)} ×${most.toFixed(1)}`;
}

function nodeLines({ nodes }: RunStatus): readonly string[] {
  if (nodes.length === 0) return [];
  const machines = new Set(nodes.map(({ machine }) => machine)).size;
  const on = machines === 1 ? '1 machine' : `${machines} machines`;
  const listed =
    nodes.length > NODES_LISTED
      ? presences(nodes)
      : nodes.map((each) => `${each.node} ${presence(each)}`).join(', ');
  return [`workers      ${nodes.length} on ${on}: ${listed}`, `actors       ${doings(nodes) || 'starting'}`];
}

/** Relayouts that are listed. */
const RELAYOUTS_LISTED = 3;

/** The layout, and what it was before. */
function layoutLines({ layout, relayouts }: RunStatus): readonly string[] {
  if (layout === null) return [];
  const listed = relayouts.slice(-RELAYOUTS_LISTED).toReversed();
  return [
    `layout       ${layout}`,
    ...listed.map(
      (each, index) =>
        `${index === 0 ? 'relayouts    ' : '             '}${each.state === 'open' ? 'now: ' : ''}${describeRelayout(each)}`,
    ),
  ];
}

/** A running run, for people. */
export function statusLines(status: RunStatus): readonly string[] {
  const { name, state, pid, host, since, seconds, task, evalLoss, waits, experts, openSeconds, secondsLeft } =
    status;
  const shown = waits.slice(0, WAITS_LISTED);
  const more = waits.length - shown.length;
  return [
    `${name}: ${state} in process ${pid} on ${host} for ${duration(seconds)}, since ${since}`,
    standing(status),
    `next step    open for ${duration(openSeconds)}${secondsLeft === null ? '' : `; ${timeLeft(status)}`}`,
    ...(task === null ? [] : [`now          ${task}`]),
    ...(evalLoss === null ? [] : [`held-out     ${nats(evalLoss)}`]),
    `checkpoint   ${checkpointWords(status)}`,
    `losses       ${lossesWords(status)}`,
    ...layoutLines(status),
    `second copy  ${copiesWords(status.copies)}`,
    ...nodeLines(status),
    ...(experts.layers.length === 0 ? [] : [`experts      ${expertWords(status)}`]),
    ...shown.map((each, index) => `${index === 0 ? 'waits        ' : '             '}${each}`),
    ...(more > 0 ? [`             and ${more} more`] : []),
  ];
}
