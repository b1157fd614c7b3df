import type { Operation, StagePlan } from '@troupe/topology/layout';
import type { PassMode } from '../messages.ts';

/** Where a stage is in its program; plain data, so that guards can read it. */
export interface Cursor {
  readonly step: number;
  readonly attempt: number;
  readonly mode: PassMode;
  /** Of what is open. */
  readonly operations: readonly Operation[];
  /** The next one. */
  readonly next: number;
  /** Those that have begun and not ended, by their position in `operations`. */
  readonly running: readonly number[];
  /** How many may run at a time. */
  readonly width: number;
  /** Inputs from other stages that are here, by {@link inputKey}. */
  readonly inputs: ReadonlySet<string>;
  /** Runs of layers that the stage has. */
  readonly chunks: readonly StagePlan[];
}

/** Which input of which pass. */
export interface InputPlace {
  readonly step: number;
  readonly attempt: number;
  readonly mode: PassMode;
  readonly direction: Operation['direction'];
  readonly chunk: number;
  readonly microbatch: number;
}

export const inputKey = ({ step, attempt, mode, direction, chunk, microbatch }: InputPlace): string =>
  `${step}/${attempt}/${mode}/${direction}/${chunk}/${microbatch}`;

/** The operation that comes next; null: all have begun. */
export const nextOf = ({ operations, next }: Cursor): Operation | null => operations[next] ?? null;

/** Every operation has begun and ended. */
export const isThrough = (cursor: Cursor): boolean => nextOf(cursor) === null && cursor.running.length === 0;

/** What an operation begins with comes from another stage; null: it is here. */
export function inputOf(cursor: Cursor, operation: Operation): string | null {
  const { direction, chunk, microbatch } = operation;
  const plan = cursor.chunks[chunk];
  const isFromOthers =
    (direction === 'forward' && plan?.hasEmbedding === false) ||
    (direction === 'backward' && plan?.hasHead === false);
  if (!isFromOthers) return null;
  const { step, attempt, mode } = cursor;
  return inputKey({ step, attempt, mode, direction, chunk, microbatch });
}

const isOfOnePass = (a: Operation, b: Operation): boolean =>
  a.chunk === b.chunk && a.microbatch === b.microbatch;

/**
 * While one pass waits for experts, the next one computes: the next `width` operations from the oldest that runs may be under way, but for
 * two of one pass, and two backward passes, which would use the same buffers; gradients of matrices have their own.
 */
export function mayBegin(cursor: Cursor): boolean {
  const { operations, running } = cursor;
  // Evaluations have one slot a chunk.
  const width = cursor.mode === 'train' ? cursor.width : 1;
  const next = nextOf(cursor);
  if (next === null || cursor.next - Math.min(cursor.next, ...running) >= width) return false;
  const isApart = running.every((index) => {
    const other = operations[index];
    return (
      other === undefined ||
      !(isOfOnePass(other, next) || (other.direction === 'backward' && next.direction === 'backward'))
    );
  });
  if (!isApart) return false;
  const input = inputOf(cursor, next);
  return input === null || cursor.inputs.has(input);
}

/** The cursor behind the operation that begins. */
export const begun = ({ next, running }: Cursor): Pick<Cursor, 'next' | 'running'> => ({
  next: next + 1,
  running: [...running, next],
});

/** Where the running operation of a pass is in the program; null: none is. */
export function runningOf(
  { operations, running }: Cursor,
  pass: Pick<Operation, 'chunk' | 'microbatch'>,
): number | null {
  return (
    running.find((index) => {
      const operation = operations[index];
      return operation !== undefined && isOfOnePass(operation, { ...operation, ...pass });
    }) ?? null
  );
}
