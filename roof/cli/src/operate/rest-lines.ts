import { join } from 'node:path';
import type { ProcessIdentity, RunAtRest } from 'troupe/control';
import { exitLine } from '../exit-line.ts';
import { nats } from '../run/numbers.ts';

/** How a run ended that does not run, in words. */
export function endWords({ exitCode, reason, step }: RunAtRest, killed: ProcessIdentity | null): string {
  if (exitCode !== null) return exitLine(exitCode, reason ?? '');
  if (killed !== null) return `killed: process ${killed.pid} on ${killed.host} is gone without a last word`;
  return step === null ? 'it has made no step' : 'killed: it left no last word';
}

/** A run that does not run, for people. */
export function restLines(
  folder: string,
  rest: RunAtRest,
  killed: ProcessIdentity | null,
): readonly string[] {
  const { step, loss, checkpoint, at } = rest;
  return [
    `${folder}: not running`,
    `ended        ${endWords(rest, killed)}${at === null ? '' : `, ${at}`}`,
    `last step    ${step === null ? 'none' : `${step}, loss ${nats(loss)}`}`,
    `checkpoint   ${checkpoint === null ? 'none' : join(folder, checkpoint)}`,
    ...(checkpoint === null ? [] : [`go on with   npx troupe resume ${folder}`]),
  ];
}
