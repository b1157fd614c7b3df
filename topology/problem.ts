/** Codes of single problems; stable, one per rule a caller can tell apart. `README.md` lists when each arises. */
export const problemCodes = [
  'TROUPE_TOPOLOGY_NOT_FOUND',
  'TROUPE_TOPOLOGY_SYNTAX',
  'TROUPE_TOPOLOGY_DUPLICATE_KEY',
  'TROUPE_TOPOLOGY_EXTENDS',
  'TROUPE_TOPOLOGY_OVERRIDE',
  'TROUPE_TOPOLOGY_VERSION',
  'TROUPE_TOPOLOGY_UNKNOWN_KEY',
  'TROUPE_TOPOLOGY_MISSING',
  'TROUPE_TOPOLOGY_TYPE',
  'TROUPE_TOPOLOGY_CHOICE',
  'TROUPE_TOPOLOGY_RANGE',
  'TROUPE_TOPOLOGY_FORMAT',
  'TROUPE_TOPOLOGY_INDIVISIBLE',
  'TROUPE_TOPOLOGY_CONFLICT',
  'TROUPE_TOPOLOGY_DUPLICATE_DEVICE',
  'TROUPE_TOPOLOGY_DEVICES',
  'TROUPE_TOPOLOGY_IDLE_DEVICES',
  'TROUPE_TOPOLOGY_PLACEMENT',
  'TROUPE_NOT_BUILT',
] as const;

export type ProblemCode = (typeof problemCodes)[number];

/** Where a value was written. A value of a flag has `flag`; one handed over by a program has nothing. */
export interface Place {
  readonly file: string | null;
  /** From 1. */
  readonly line: number | null;
  /** From 1, in UTF-16 units. */
  readonly column: number | null;
  /** The flag as typed: `--set model.moe.topK=4`. */
  readonly flag: string | null;
}

export const nowhere: Place = { file: null, line: null, column: null, flag: null };

/** One thing wrong with a topology: where, what was found, what is legal. */
export interface TopologyProblem extends Place {
  readonly code: ProblemCode;
  /** Dotted, as `--set` takes it: `model.moe.topK`, `machines.0.devices.1`; empty for the whole file. */
  readonly key: string;
  /** What was found; undefined when nothing was. */
  readonly value: unknown;
  /** What is legal, in words. */
  readonly rule: string;
  /** The nearest legal value or name; null when there is none to offer. */
  readonly nearest: string | number | null;
}

const cut = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most - 3)}...` : text;

/** `file.yaml:3:7`, or the flag as typed; empty for what a program handed over. */
export function showPlace(place: Place): string {
  if (place.flag !== null) return cut(place.flag, 120);
  if (place.file === null) return '';
  return place.line === null ? place.file : `${place.file}:${place.line}:${place.column ?? 1}`;
}

/** How a value looks in a file, as far as it is shown: of large ones only the beginning is walked. */
function written(value: unknown, depth = 0): string {
  if (typeof value === 'string') return depth === 0 ? value : JSON.stringify(cut(value, 60));
  if (typeof value !== 'object' || value === null) return String(value);
  if (depth === 3) return '…';
  const isList = Array.isArray(value);
  const parts: string[] = [];
  for (const [name, each] of Object.entries(value).slice(0, 12))
    parts.push(isList ? written(each, depth + 1) : `${JSON.stringify(name)}:${written(each, depth + 1)}`);
  return isList ? `[${parts.join(',')}]` : `{${parts.join(',')}}`;
}

/** A value in at most 60 characters, numbers that JSON does not know (.nan, .inf) included. */
const showValue = (value: unknown): string => cut(written(value), 60);

/** Key and value: a whole file has no key, and an empty key is shown as it is typed. */
function showSubject({ code, key, value }: TopologyProblem): string {
  const shown = cut(key === '' && code === 'TROUPE_TOPOLOGY_UNKNOWN_KEY' ? '""' : key, 120);
  return value === undefined ? shown : `${shown}${shown === '' ? '' : ': '}${showValue(value)}`;
}

/** One problem on one line: place, key, value, rule, nearest legal value, code. */
export function formatProblem(problem: TopologyProblem): string {
  const parts = [showPlace(problem), showSubject(problem)];
  const hint = problem.nearest === null ? '' : `; nearest: ${problem.nearest}`;
  return `${parts.filter((part) => part !== '').join('  ')}  ${problem.rule}${hint}  [${problem.code}]`;
}
