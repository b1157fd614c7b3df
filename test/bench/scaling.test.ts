import test from 'ava';
import { openSimulator } from 'troupe';
import { benchScaling, formatScaling, weakTopology } from './scaling.ts';

test('bench scaling: what a device controls does not grow with the cluster', async (t) => {
  const rows = await benchScaling({ size: 'small' });
  t.deepEqual(
    rows.map(({ devices }) => devices),
    [2, 8],
  );
  const [two, eight] = rows;
  t.true((eight?.controlMessages ?? 0) < 1.5 * (two?.controlMessages ?? 0), formatScaling(rows));
  t.true((two?.dataMessages ?? 0) > 0);
  t.regex(formatScaling(rows), /\| 8 \| \d/);
});

/** Processor seconds and messages that the trainer gets in a run of so many steps, each kind. */
async function trainerHears(devices: number, steps: number) {
  const simulator = await openSimulator(weakTopology(devices), { shapesOnly: true });
  const heard = new Map<string, number>();
  const before = process.cpuUsage();
  const run = await simulator.run(
    { seed: 1, steps, faults: [] },
    {
      observe: ({ address, event }) => {
        if (address === 'trainer' && event.type.startsWith('machine.'))
          heard.set(event.type, (heard.get(event.type) ?? 0) + 1);
      },
    },
  );
  const { user, system } = process.cpuUsage(before);
  return { exitCode: run.result.exitCode, heard, seconds: (user + system) / 1e6 };
}

const isLong = process.env['TROUPE_LONG'] === '1';

/** Shapes only: 4,096 devices on 512 machines behind `TROUPE_LONG=1`. */
test('bench scaling: the trainer hears four times of a machine in a step, however many devices it has', async (t) => {
  t.timeout(3_600_000);
  for (const devices of isLong ? [16, 4096] : [16]) {
    const machines = devices / 8;
    const short = await trainerHears(devices, 1);
    const long = await trainerHears(devices, 2);
    t.is(long.exitCode, 0);
    const ofAStep = [...long.heard].map(
      ([kind, count]) => [kind, count - (short.heard.get(kind) ?? 0)] as const,
    );
    const all = ofAStep.reduce((sum, [, count]) => sum + count, 0);
    t.true(all > 0 && all <= 4 * machines, JSON.stringify(ofAStep));
    const memory = process.memoryUsage.rss() / 1e9;
    t.log(
      `${devices} devices: ${all / machines} messages a machine, ${(long.seconds - short.seconds).toFixed(1)} s a step, ${memory.toFixed(2)} GB`,
    );
  }
});
