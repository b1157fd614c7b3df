import type { Simulation } from 'troupe';
import { MOST_WORKERS } from './clusters.ts';

type Fault = Simulation['struck'][number]['fault'];

/** What may take a worker away, or messages between two; a run makes good so many losses and no more (`recovery.losses`). */
const losing = new Set([
  'crash',
  'hang',
  'partition',
  'drop',
  'duplicate',
  'corrupt',
  'skew',
  'lost-unsynced',
]);

/** An end before the last step: how it looks, and the fault that gives a run no other way. */
const ends: readonly {
  readonly name: string;
  readonly exitCode: number;
  readonly code: string;
  readonly explains: (fault: Fault, sentence: string) => boolean;
}[] = [
  {
    name: 'the disk was full',
    exitCode: 75,
    code: 'TROUPE_STORAGE_FULL',
    explains: ({ kind }) => kind === 'disk-full',
  },
  {
    name: 'a worker never came back',
    exitCode: 76,
    code: 'TROUPE_RUN_STUCK',
    explains: ({ kind, target, restartAfterMs }, sentence) => {
      const lost = /recover from the loss of ([\w/, ]+) \(/u.exec(sentence)?.[1]?.split(', ') ?? [];
      const isMachine = /^(?:machine|disk|agent)\//u.test(target);
      return (
        (kind === 'crash' || kind === 'lost-unsynced') &&
        restartAfterMs === -1 &&
        (isMachine ? lost.length > 0 : lost.includes(target))
      );
    },
  },
  {
    name: 'the lead was lost',
    exitCode: 76,
    code: 'TROUPE_RUN_STUCK',
    explains: ({ kind, target }, sentence) =>
      sentence.startsWith('lead/0 was lost') &&
      (kind === 'crash' ? ['lead/0', 'agent/0', 'machine/0'].includes(target) : kind === 'lost-unsynced'),
  },
  {
    name: 'the lead was lost too often',
    exitCode: 76,
    code: 'TROUPE_LEAD_LOST',
    explains: ({ kind, target }, sentence) =>
      losing.has(kind) && target.includes('lead/0') && sentence.startsWith('lead/0'),
  },
];

/** Workers that a fault may take away at once: those of a machine, or all when the agent hears of none of them ({@link MOST_WORKERS}). */
const lossesBy = ({ kind, target }: Fault): number =>
  !losing.has(kind) ? 0 : /^(?:machine|disk|agent|lead)\//u.test(target) ? MOST_WORKERS : 1;

function tooManyLosses({ result, struck }: Simulation): boolean {
  const found = /that is loss (\d+) within \d+ s, (\d+) tolerated/u.exec(result.error?.message ?? '');
  const [, losses, madeGood] = (found ?? []).map(Number);
  return (
    result.exitCode === 76 &&
    ['TROUPE_WORKER_LOST', 'TROUPE_SIM_CRASH'].includes(result.error?.code ?? '') &&
    losses !== undefined &&
    madeGood !== undefined &&
    struck.reduce((sum, { fault }) => sum + lossesBy(fault), 0) > madeGood
  );
}

/** Why a run may end before its last step: the reason, when a fault that struck gave one; else null. */
export function justify(run: Simulation): string | null {
  const { result, struck } = run;
  if (tooManyLosses(run)) return 'more losses than are tolerated';
  const sentence = result.error?.message ?? '';
  const found = ends.find(
    ({ exitCode, code, explains }) =>
      exitCode === result.exitCode &&
      code === result.error?.code &&
      struck.some(({ fault }) => explains(fault, sentence)),
  );
  return found?.name ?? null;
}
