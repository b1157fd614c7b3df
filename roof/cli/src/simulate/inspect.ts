import { counted } from '@troupe/core';
import { createPlacement, nearestName } from '@troupe/topology';
import type { SimulationCase, Simulator } from 'troupe';
import { UsageError } from '../errors.ts';
import { print, printJson } from '../output.ts';
import type { SimulateOptions } from './options.ts';

/** Turns that are shown of an actor. */
const TURNS = 10;

/** `KIND` or `KIND@STEP`: an event that an actor handles. */
function untilOf(text: string): { readonly kind: string; readonly step: number | null } {
  const [kind = '', step, ...rest] = text.split('@');
  if (kind === '' || rest.length > 0 || (step !== undefined && !/^\d+$/u.test(step)))
    throw new UsageError(
      `--until: found '${text}', expected an event such as commit.decide or commit.decide@3`,
    );
  return { kind, step: step === undefined ? null : Number(step) };
}

/** @throws {UsageError} TROUPE_USAGE when nobody has this address */
function checkAddress(simulator: Simulator, address: string): void {
  const addresses = createPlacement(simulator.topology).actors.map((actor) => actor.address as string);
  if (addresses.includes(address)) return;
  const nearest = nearestName(address, addresses);
  throw new UsageError(
    `--inspect: no actor has the address '${address}'; ${nearest === null ? `there are ${addresses.slice(0, 5).join(', ')} …` : `nearest: ${nearest}`}`,
  );
}

/** Why a run ended before the event came. */
function notReached(
  text: string,
  { kind, step }: ReturnType<typeof untilOf>,
  seen: ReadonlyMap<string, ReadonlySet<number>>,
  steps: number,
): UsageError {
  const where = `in ${counted(steps, 'step')}`;
  const at = seen.get(kind);
  if (at === undefined) {
    const kinds = [...seen.keys()].sort();
    const nearest = nearestName(kind, kinds);
    return new UsageError(
      `--until: no actor handled '${kind}' ${where}; ${nearest === null ? `they handled ${kinds.join(', ')}` : `nearest: ${nearest}`}`,
    );
  }
  return new UsageError(
    `--until: '${text}' did not come ${where}; ${kind} came ${step === null ? 'to other actors only' : `at step ${[...at].sort((a, b) => a - b).join(', ')}`}; --steps says how many there are`,
  );
}

/**
 * Runs to an event, and shows the state of an actor there.
 *
 * @throws {UsageError} TROUPE_USAGE when there is no such actor, or the event never comes
 */
export async function inspect(
  simulator: Simulator,
  one: SimulationCase,
  options: SimulateOptions,
): Promise<void> {
  const until = options.until === undefined ? null : untilOf(options.until);
  if (options.inspect !== undefined) checkAddress(simulator, options.inspect);
  const turns: string[] = [];
  const seen = new Map<string, Set<number>>();
  let isReached = false;
  const run = await simulator.run(one, {
    observe: ({ address, event, outcome, stateBefore, stateAfter }, atMs) => {
      const steps = seen.get(event.type);
      if (steps === undefined) seen.set(event.type, new Set([event.step]));
      else steps.add(event.step);
      if (isReached || (options.inspect !== undefined && address !== options.inspect)) return;
      turns.push(
        `${atMs.toFixed(3)} ms ${address}: ${event.type} of ${event.from} (step ${event.step}, attempt ${event.attempt}, layer ${event.layer}, microbatch ${event.microbatch}) ${outcome}: ${stateBefore} → ${stateAfter}`,
      );
      if (turns.length > TURNS) turns.shift();
    },
    until: ({ address, event }) => {
      // Other turns of the same moment may follow.
      isReached ||=
        until !== null &&
        event.type === until.kind &&
        (until.step === null || event.step === until.step) &&
        (options.inspect === undefined || address === options.inspect || !options.inspect.includes('/'));
      return isReached;
    },
  });
  if (until !== null && !isReached) throw notReached(options.until ?? '', until, seen, one.steps);
  const actors = run.actors.filter(
    ({ address }) => options.inspect === undefined || address === options.inspect,
  );
  if (options.json === true) {
    printJson({ event: 'inspection', virtualSeconds: run.virtualMs / 1000, actors, turns });
    return;
  }
  print(
    `at ${run.virtualMs.toFixed(3)} ms of virtual time:`,
    ...actors.map(
      ({ address, incarnation, state, mailboxSize }) =>
        `  ${address}#${incarnation}: ${state}, ${counted(mailboxSize, 'event')} in its mailbox`,
    ),
    'what moved it, the latest last:',
    ...turns.map((line) => `  ${line}`),
  );
}
