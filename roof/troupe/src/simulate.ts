import type { ReferenceStep } from '@troupe/sim';
import type { RunEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';
import { checkTopology } from './option-rules.ts';
import { simulateLayout, type LayoutStart } from './simulation/simulate-layout.ts';
import { SimulatedStory } from './simulation/simulated-story.ts';
import { checkSimulationOptions, type SimulationOptions } from './simulation/simulation-options.ts';
import type { Simulation } from './simulation/simulation.ts';

const BUDGET_MS = 3_600_000;

/** Steps of a run, as the reference of another. */
export const referenceOf = (events: readonly RunEvent[]): readonly ReferenceStep[] =>
  events.flatMap((event) =>
    event.event === 'step' ? [{ step: event.step, loss: event.loss, gradNorm: event.gradNorm }] : [],
  );

/**
 * Runs a topology in virtual time over a simulated cluster: the same actors with real arithmetic, as a pure function of seed, faults,
 * topology and code. Checkers watch; the first violation ends the run. A run that goes on without a lost machine does so in a world of its
 * own, with the clock and the faults of the one before; what is given back is of all of them.
 *
 * @throws {OptionError} TROUPE_OPTION with every option that is not what it has to be
 * @throws {TroupeError} what is wrong with the topology or its data
 */
export async function simulate(topology: ResolvedTopology, given: SimulationOptions): Promise<Simulation> {
  checkTopology('simulate', topology);
  checkSimulationOptions(given);
  const { budgetMs = BUDGET_MS } = given;
  const story = new SimulatedStory(topology, given);
  let [present, start]: [ResolvedTopology, LayoutStart | null] = [topology, null];
  for (;;) {
    const options = { ...story.options, budgetMs: budgetMs - story.virtualMs };
    const { next, disk, ...part } = await simulateLayout(present, options, story.policy, start);
    story.add(part);
    if (next === null) return story.told();
    present = next;
    start = await story.startOf(disk);
  }
}
