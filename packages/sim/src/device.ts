import type { Device, KernelCall, SyncDevice } from '@troupe/core';
import { defaultSpeed, listCostMs, type DeviceSpeed } from './cost.ts';
import type { VirtualClock } from './virtual-clock.ts';

/**
 * A device with real arithmetic and modelled time: kernels run synchronously in queue order, completions arrive at the virtual time at
 * which the modelled device would be done.
 */
export function simDevice(body: SyncDevice, clock: VirtualClock, speed: DeviceSpeed = defaultSpeed): Device {
  let busyUntilMs = 0;
  return {
    info: { ...body.info, name: `simulated ${body.info.name}` },
    floats: (length) => body.floats(length),
    ints: (length) => body.ints(length),
    int64s: (length) => body.int64s(length),
    bytes: (length) => body.bytes(length),
    close: () => body.close(),
    submit: (calls: readonly KernelCall[], done) => {
      const costMs = listCostMs(calls, speed);
      busyUntilMs = Math.max(busyUntilMs, clock.now()) + costMs;
      clock.after(busyUntilMs - clock.now(), () => done({ error: body.run(calls).error, kernelMs: costMs }));
    },
  };
}
