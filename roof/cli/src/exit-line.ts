const meanings: Readonly<Record<number, string>> = {
  0: 'ok',
  1: 'failed, the same again will not help',
  2: 'usage',
  3: 'topology invalid',
  4: 'plan differs',
  5: 'not enough devices or memory',
  75: 'temporary, try again',
  76: 'a worker was lost',
  129: 'hung up',
  130: 'interrupted',
  131: 'quit',
  143: 'terminated',
  152: 'out of processor time',
};

/** `exit 76 (a worker was lost): why`; the last line of every run and of every command that fails. */
export function exitLine(exitCode: number, why: string): string {
  return `exit ${exitCode} (${meanings[exitCode] ?? 'unknown'})${why === '' ? '' : `: ${why}`}`;
}
