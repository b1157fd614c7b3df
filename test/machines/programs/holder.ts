/** Opens a lab, says the numbers of its processes, and waits to be killed. */
import { Lab } from '../lab/lab.ts';

const lab = await Lab.open({ machines: 2, ssh: false });
for (const machine of lab.machines) machine.start(['setsid', 'sleep', '600']).stderr.on('data', () => {});
const spaces = [lab.room, ...lab.machines.map((machine) => machine.spaces)];
const pids = (): readonly number[] => spaces.flatMap((each) => each.processes().map(({ pid }) => pid));
// Two programs beside each machine's own two.
while (pids().length < 2 + 2 * 3) await new Promise((resolve) => setTimeout(resolve, 20));
process.stdout.write(`${JSON.stringify(pids())}\n`);
