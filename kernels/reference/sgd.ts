import type { SgdCall } from '@troupe/kernel-set';
import { gradientOf } from './exact-sum.ts';
import type { Kernel } from './kernel.ts';

/** @see Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning" */
export const sgd: Kernel<SgdCall> = {
  check(call, check) {
    const length = call.gradient?.length ?? 0;
    check.gradient('gradient', call.gradient);
    for (const name of ['weights', 'out', 'v'] as const) {
      check.floats(name, call[name], 0);
      check.equal(`${name}.length`, call[name].length, length, 'the length of gradient');
    }
    for (const name of ['gradScale', 'learningRate', 'weightDecay', 'momentum'] as const)
      check.number(name, call[name]);
  },
  run(call, dtype) {
    const { weights, out, v, gradScale, learningRate, weightDecay, momentum, nesterov } = call;
    const gradient = gradientOf(call.gradient, dtype);
    const keep = 1 - learningRate * weightDecay;
    for (let i = 0; i < gradient.length; i++) {
      const g = gradient[i]! * gradScale;
      const moved = momentum * v[i]! + g;
      v[i] = moved;
      out[i] = weights[i]! * keep - learningRate * (nesterov ? momentum * moved + g : moved);
    }
  },
};
