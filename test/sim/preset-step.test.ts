import test from 'ava';
import { presetStep } from './preset-step.ts';

/** Four layers on two machines of four devices; `npm run test:sim` runs all of it on its 64. */
const small = [
  'model.layers=4',
  'model.encoder.layers=2',
  'train.batch=128',
  'train.grains=32',
  'machines=[{host: a, devices: ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]}, {host: b, devices: ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]}]',
  'parallel={dp: 4, tp: 2, ep: 4, zero: 2, offload: optimizer}',
];

test('shapes only: devices allocate in a step of a preset with an encoder what its plan says', async (t) => {
  const step = await presetStep('z-code-10b', small);
  t.deepEqual(step.wrong, []);
  t.is(step.devices, 8);
  t.log(`${step.wallSeconds.toFixed(1)} s`);
});
