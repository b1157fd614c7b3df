/**
 * A cluster that loses a worker in the middle of a step, on one laptop and in virtual time: `node examples/dist/break-a-cluster.js`.
 *
 * The same actors that `troupe launch` runs, with real arithmetic, over a simulated network, clock and disk. The run recovers, and its loss
 * curve is the one without the fault, bit for bit; another seed draws other delays and never another loss.
 */
import { fileURLToPath } from 'node:url';
import { loadTopology, openSimulator } from 'troupe';
import type { ExampleOptions } from './quickstart-embedding.ts';

/** @returns the losses of both runs, and how many steps had to be computed again */
export async function main({ steps = 4, set = [], print = console.log }: ExampleOptions = {}) {
  const simulator = await openSimulator(loadTopology('tiny', { set }));
  const lossesOf = async (faults: Parameters<typeof simulator.run>[0]['faults']) => {
    const run = await simulator.run({ seed: 1, steps, faults });
    if (run.violation !== null) throw new Error(run.violation.text);
    for (const event of run.events)
      if (event.event === 'fault' || event.event === 'recovered')
        print(
          event.event === 'fault'
            ? event.message
            : `recovered from ${event.from} after ${event.ms.toFixed(1)} ms`,
        );
    print(`${run.virtualMs.toFixed(1)} ms of virtual time, trace ${run.traceHash}`);
    return {
      losses: run.events.flatMap((event) => (event.event === 'step' ? [event.loss] : [])),
      repeated: run.events.reduce(
        (sum, event) => sum + (event.event === 'recovered' ? event.repeatedSteps : 0),
        0,
      ),
    };
  };
  const calm = await lossesOf([]);
  const broken = await lossesOf([
    {
      kind: 'crash',
      target: 'worker/1',
      when: { actor: 'expert/L1/*/*', state: 'serving.backwarding', times: 3 },
    },
  ]);
  print(`losses ${calm.losses.join(', ')}`);
  print(
    calm.losses.every((loss, index) => Object.is(loss, broken.losses[index]))
      ? 'bit for bit the same'
      : 'not the same',
  );
  return { calm: calm.losses, broken: broken.losses, repeated: broken.repeated };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
