/** The native body against the reference, PyTorch and itself. TROUPE_REQUIRE_NATIVE=1 makes an absent addon a failure. */
import test from 'ava';
import { F32_TOLERANCE } from '../conformance/body.ts';
import { conformKernels } from '../conformance/conform.ts';
import { nativeAvailability, nativeIsas, openNativeDevice } from './native-device.ts';

const { available, reason } = nativeAvailability();

if (available || process.env['TROUPE_REQUIRE_NATIVE'] === '1') {
  test('native: the addon is available', (t) => t.true(available, reason));
}

if (available) {
  conformKernels(test, {
    name: 'native',
    open: ({ threads = 2 } = {}) => openNativeDevice({ threads }),
    tolerance: F32_TOLERANCE,
    bitwise: true,
    bf16: true,
    family: nativeIsas().map((isa) => () => openNativeDevice({ threads: 2, isa })),
    longWork: 2e9,
  });
} else {
  test.skip(`native: conformance is skipped: ${reason}`, (t) => t.fail());
}
