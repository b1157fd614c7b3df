import type { AdamWCall } from '@troupe/kernel-set';
import { gradientOf } from './exact-sum.ts';
import type { Kernel } from './kernel.ts';

/** @see Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2, with the learning rate inside the decay */
export const adamw: Kernel<AdamWCall> = {
  check(call, check) {
    const length = call.gradient?.length ?? 0;
    check.gradient('gradient', call.gradient);
    for (const name of ['weights', 'out', 'm', 'v'] as const) {
      check.floats(name, call[name], 0);
      check.equal(`${name}.length`, call[name].length, length, 'the length of gradient');
    }
    for (const name of [
      'gradScale',
      'learningRate',
      'beta1',
      'beta2',
      'eps',
      'weightDecay',
      'correction1',
      'correction2',
    ] as const) {
      check.number(name, call[name]);
    }
  },
  run(call, dtype) {
    const {
      weights,
      out,
      m,
      v,
      gradScale,
      learningRate,
      beta1,
      beta2,
      eps,
      weightDecay,
      correction1,
      correction2,
    } = call;
    const gradient = gradientOf(call.gradient, dtype);
    for (let i = 0; i < gradient.length; i++) {
      const g = gradient[i]! * gradScale;
      const mean = beta1 * m[i]! + (1 - beta1) * g;
      const square = beta2 * v[i]! + (1 - beta2) * g * g;
      m[i] = mean;
      v[i] = square;
      const step = mean / correction1 / (Math.sqrt(square / correction2) + eps);
      out[i] = weights[i]! * (1 - learningRate * weightDecay) - learningRate * step;
    }
  },
};
