import { withoutQueue, type Device, type GradientTarget, type KernelCall } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';

const isGradient = (value: unknown): value is GradientTarget =>
  typeof value === 'object' && value !== null && 'overflow' in value;
const gradientsOf = (call: KernelCall): readonly GradientTarget[] =>
  Object.values(call as unknown as Readonly<Record<string, unknown>>).filter(isGradient);
/** Kernels that bring a gradient into being. */
/** What reads gradients and leaves none. */
const updates: ReadonlySet<KernelCall['op']> = new Set(['adamw', 'sgd', 'adafactor', 'muon']);
const isSource = ({ op }: KernelCall): boolean => !op.startsWith('sum.') && !updates.has(op);

export interface Poisoned {
  readonly device: Device;
  /** Operations that had a gradient, in the order of their calls. */
  readonly sources: readonly string[];
}

/** A device whose gradient kernels of the numbers `bad` find a NaN. */
export function poisoned(bad: (index: number) => boolean): Poisoned {
  const body = openReferenceDevice({ dtype: 'f32' });
  const sources: string[] = [];
  const device: Device = {
    ...withoutQueue(body),
    submit: (calls, done) =>
      body.submit(calls, (completion) => {
        for (const call of calls.filter(isSource)) {
          const gradients = gradientsOf(call);
          if (gradients.length > 0 && bad(sources.push(call.op) - 1))
            for (const { overflow } of gradients) body.write(overflow, [1]);
        }
        done(completion);
      }),
  };
  return { device, sources };
}
