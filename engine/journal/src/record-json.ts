import { bitsOf, floatOf, fromJson, sumsOf, toJson, wordsOf } from './exact.ts';
import type { Decision, ExactSums, JournalRecord } from './record.ts';

/** Of what a record says, in the first of its fields: a later one is refused by name. */
const FORMAT = 1;

/** A record as text: fields in one order, floats as their bits. */
export function jsonOf(record: JournalRecord): string {
  const { decision, sums } = record;
  return JSON.stringify({
    format: FORMAT,
    epoch: record.epoch,
    attempt: record.attempt,
    step: record.step,
    replayed: record.replayed,
    decision: {
      apply: decision.apply,
      gradScale: bitsOf(decision.gradScale),
      learningRate: bitsOf(decision.learningRate),
      clock: decision.clock,
    },
    sums: {
      norm: wordsOf(sums.norm),
      loss: wordsOf(sums.loss),
      layers: wordsOf(sums.layers),
      dropped: sums.dropped,
    },
    reported: toJson(record.reported),
    seats: record.seats,
    layout: record.layout,
    membership: record.membership,
    lives: record.lives,
    lossAgesMs: record.lossAgesMs.map(bitsOf),
    checkpoint: record.checkpoint,
    applied: record.applied,
  });
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): value is string => typeof value === 'string';
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';

const listOf =
  <T>(isOne: (value: unknown) => value is T) =>
  (value: unknown): value is readonly T[] =>
    Array.isArray(value) && value.every(isOne);

const isSeats = (value: unknown): value is JournalRecord['seats'] =>
  value === null || listOf(listOf(isCount))(value);
const isLives = (value: unknown): value is JournalRecord['lives'] =>
  isFields(value) && Object.values(value).every(isCount);
const isCheckpoint = (value: unknown): value is JournalRecord['checkpoint'] =>
  value === null || (isFields(value) && isCount(value['step']) && isText(value['path']));

function decisionOf(value: unknown): Decision | null {
  if (!isFields(value)) return null;
  const { apply, clock } = value;
  const [gradScale, learningRate] = [floatOf(value['gradScale']), floatOf(value['learningRate'])];
  return isFlag(apply) && isCount(clock) && gradScale !== null && learningRate !== null
    ? { apply, gradScale, learningRate, clock }
    : null;
}

function exactSumsOf(value: unknown): ExactSums | null {
  if (!isFields(value)) return null;
  const [norm, loss, layers] = [sumsOf(value['norm']), sumsOf(value['loss']), sumsOf(value['layers'])];
  const { dropped } = value;
  return norm?.length === 2 && loss?.length === 2 && layers !== null && isCount(dropped)
    ? { norm, loss, layers, dropped }
    : null;
}

/**
 * Reads what {@link jsonOf} wrote.
 *
 * @returns what is wrong, in words, where it is no record: it was intact when it was written, so that somebody else wrote it
 */
export function recordOf(text: string): JournalRecord | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'it is no JSON';
  }
  if (!isFields(json)) return 'it is no object';
  if (json['format'] !== FORMAT)
    return `its format is ${String(json['format'])}, and this version reads ${FORMAT}`;
  const { epoch, attempt, step, replayed, seats, layout, membership, lives, checkpoint, applied } = json;
  const [decision, sums] = [decisionOf(json['decision']), exactSumsOf(json['sums'])];
  const reported = fromJson(json['reported']);
  const ages = Array.isArray(json['lossAgesMs']) ? json['lossAgesMs'].map(floatOf) : [null];
  const lossAgesMs = ages.filter((age) => age !== null);
  const known =
    isCount(epoch) && isCount(attempt) && isCount(step) && isFlag(replayed) && isSeats(seats)
      ? { epoch, attempt, step, replayed, seats }
      : null;
  const isLead = isText(layout) && listOf(isText)(membership) && isLives(lives) && listOf(isText)(applied);
  if (
    known === null ||
    !isLead ||
    !isCheckpoint(checkpoint) ||
    decision === null ||
    sums === null ||
    reported === undefined ||
    lossAgesMs.length < ages.length
  )
    return 'its fields are not those of a record';
  return { ...known, decision, sums, reported, layout, membership, lives, lossAgesMs, checkpoint, applied };
}
