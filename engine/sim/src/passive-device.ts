import { withoutQueue, type KernelCall, type SyncDevice } from '@troupe/kernel-set';
import { RoutedRows } from './routed-rows.ts';

/** What a shard does for everybody: drawing parameters, adding what others computed, and updating. */
const shared: ReadonlySet<KernelCall['op']> = new Set([
  'fill',
  'copy',
  'round.bf16',
  'sum.add',
  'sum.reset',
  'sum.squares',
  'adamw',
  'sgd',
  'bias.step',
  'adafactor',
  'muon',
  'threshold.step',
]);

/**
 * The device of a replica that takes part without computing: it holds and updates its share of the parameters as any other does, but its
 * passes compute nothing, so its sequences add nothing to any sum. Routing is even, times are modelled.
 *
 * Among real replicas it makes a run of theirs alone, with the traffic and the times of all.
 */
export function passiveDevice(body: SyncDevice): SyncDevice {
  const rows = new RoutedRows();
  return {
    ...withoutQueue(body),
    info: { ...body.info, name: `passive ${body.info.name}` },
    submit: (calls, done) => body.submit(calls, done),
    run: (calls) => {
      for (const call of calls) if (call.op === 'route.plan') rows.plan(call);
      return body.run(calls.filter(({ op }) => shared.has(op)));
    },
  };
}
