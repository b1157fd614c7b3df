/** What sigmoid scores, groups or a bias choose by: see `GateForwardCall`. */
export interface ExpertKeys {
  /** Score + bias of each expert, f32; NaN as -inf. */
  readonly keys: Float32Array;
  readonly expertGroups: number;
  readonly topGroups: number;
}

/** The largest of those that are not taken, ties to the lower index; it is taken then. */
function take(values: ArrayLike<number>, isTaken: Uint8Array, from: number, to: number): number {
  let best = -1;
  for (let i = from; i < to; i++) if (isTaken[i] === 0 && (best < 0 || values[i]! > values[best]!)) best = i;
  isTaken[best] = 1;
  return best;
}

/** What a group of experts is worth: its two largest keys together, or its only one. */
function worthOf(keys: Float32Array, from: number, to: number): number {
  const isTaken = new Uint8Array(to);
  const first = keys[take(keys, isTaken, from, to)]!;
  return to - from === 1 ? first : Math.fround(first + keys[take(keys, isTaken, from, to)]!);
}

/** Experts outside the worthiest groups are marked as taken. */
function closedTo({ keys, expertGroups, topGroups }: ExpertKeys): Uint8Array {
  const perGroup = keys.length / expertGroups;
  if (topGroups === expertGroups) return new Uint8Array(keys.length);
  const worth = Array.from({ length: expertGroups }, (_, group) =>
    worthOf(keys, group * perGroup, (group + 1) * perGroup),
  );
  const isKept = new Uint8Array(expertGroups);
  for (let i = 0; i < topGroups; i++) take(worth, isKept, 0, expertGroups);
  return Uint8Array.from(keys, (_, expert) => 1 - isKept[Math.floor(expert / perGroup)]!);
}

/** The `topK` experts of the largest keys inside the worthiest groups, by rising number. */
export function expertsByKey(chosenBy: ExpertKeys, topK: number): readonly number[] {
  const isTaken = closedTo(chosenBy);
  const { keys } = chosenBy;
  return Array.from({ length: topK }, () => take(keys, isTaken, 0, keys.length)).sort((a, b) => a - b);
}
