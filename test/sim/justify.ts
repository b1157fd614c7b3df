import type { Simulation } from 'troupe';

/** Code of an error and what must have struck for a run to end with it. */
const justified: readonly {
  readonly exitCode: number;
  readonly code: string;
  readonly name: string;
  readonly struck: (fault: Simulation['struck'][number]['fault']) => boolean;
}[] = [
  {
    exitCode: 75,
    code: 'TROUPE_STORAGE_FULL',
    name: 'the disk was full',
    struck: ({ kind }) => kind === 'disk-full',
  },
  {
    exitCode: 76,
    code: 'TROUPE_RUN_STUCK',
    name: 'the agent was lost',
    struck: ({ kind, target }) =>
      (kind === 'crash' && (target === 'agent/0' || target === 'machine/0')) ||
      (kind === 'lost-unsynced' && target === 'disk/0'),
  },
];

/** Why a run may end before its last step: the reason, when a fault that struck gave one; else null. */
export function justify({ result, struck }: Simulation): string | null {
  const found = justified.find(
    (each) =>
      each.exitCode === result.exitCode &&
      each.code === result.error?.code &&
      struck.some(({ fault }) => each.struck(fault)),
  );
  return found?.name ?? null;
}
