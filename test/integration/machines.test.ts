import test from 'ava';
import type { Simulation, SimulationOptions } from 'troupe';
import { numbersOf, simulateTiny, withCheckpoints } from './struck-tiny.ts';

/** Four workers, copies of whose shards lie elsewhere, on so many machines. */
const run = (machines: number, options: Partial<SimulationOptions> = {}): Promise<Simulation> =>
  simulateTiny(withCheckpoints({ dp: 4, ep: 2, buddies: true, machines }), { checkpoints: true, ...options });

test('machines: AGT-2, TRN-6, numbers are those of one machine, and the trainer hears four messages of each in a step', async (t) => {
  const alone = await run(1);
  for (const numMachines of [2, 4]) {
    const heard = new Map<number, string[]>();
    const far = await run(numMachines, {
      observe: ({ address, event }) => {
        if (address !== 'trainer' || !event.from.startsWith('agent/')) return;
        const said = heard.get(event.step) ?? [];
        heard.set(event.step, [...said, `${event.type} ${event.from}`]);
      },
    });
    t.is(far.violation, null);
    t.is(far.result.error, null);
    t.deepEqual(numbersOf(far), numbersOf(alone));
    const agents = Array.from({ length: numMachines }, (_, machine) => `agent/m${machine}`);
    const kinds = ['machine.applied', 'machine.counted', 'machine.measured', 'machine.voted'];
    for (const step of [1, 2, 3])
      t.deepEqual(
        heard.get(step)?.toSorted(),
        kinds.flatMap((kind) => agents.map((agent) => `${kind} ${agent}`)),
        `step ${step} on ${numMachines} machines`,
      );
  }
});
