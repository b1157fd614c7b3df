/** The conformance suite on the real TensorFlow, where it is set up; TROUPE_REQUIRE_TENSORFLOW=1 makes its absence a failure. */
import test from 'ava';
import { F32_TOLERANCE, type Test } from '../conformance/body.ts';
import { conformKernels } from '../conformance/conform.ts';
import { layerAgrees } from './testing/layer-case.ts';
import { leavesNothing } from './testing/leaks.ts';
import { openTfjsDevice } from './tfjs-device.ts';

const open = (options: { readonly threads?: number } = {}) =>
  openTfjsDevice({ ...options, backend: 'tfjs-node' });

/** Why no TensorFlow opens here; null when one does. */
const absence = await open().then(
  async (device) => {
    await device.close();
    return null;
  },
  (error: unknown) => (error instanceof Error ? error.message : String(error)),
);

if (absence !== null && process.env['TROUPE_REQUIRE_TENSORFLOW'] !== '1') {
  test.skip(`tfjs-node: skipped, ${absence}`, () => {});
} else {
  // One device at a time: each is a thread with a heap of its own.
  const serial = Object.assign(test.serial.bind(test), { serial: test.serial }) as unknown as Test;

  conformKernels(serial, {
    name: 'tfjs-node',
    open,
    tolerance: F32_TOLERANCE,
    bitwise: false,
    bf16: false,
    longWork: 1e9,
    numRuns: 30,
  });

  test.serial('tfjs-node: 200 steps of every operation leave no tensor behind', (t) =>
    leavesNothing(t, 'tfjs-node'),
  );

  test.serial('tfjs-node: the model’s FFN as a layer agrees with the reference', (t) =>
    layerAgrees(t, 'tfjs-node'),
  );

  test.serial('tfjs-node: info names the version of TensorFlow and the device', async (t) => {
    const device = await open();
    t.is(device.info.name, 'tfjs node');
    t.regex(
      device.info.reason,
      /^@tensorflow\/tfjs-node runs TensorFlow 2\.\d+\.\d+ on the CPU.*asked for by name$/,
    );
    await device.close();
  });
}
