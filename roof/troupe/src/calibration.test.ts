import test from 'ava';
import { resolveTopology } from '@troupe/topology';
import { calibrated, parseCalibration, type Calibration } from './calibration.ts';

const calibration: Calibration = {
  version: 1,
  machine: 'a machine',
  job: 'a job',
  date: '2026-11-28T00:00:00.000Z',
  setups: [
    {
      threads: 2,
      workers: 1,
      flopsPerMs: 2e8,
      bytesPerMs: 2e7,
      slowness: { 'head.loss': 1.5 },
      turnMs: 0.02,
    },
    { threads: 1, workers: 1, flopsPerMs: 1e8, bytesPerMs: 1.5e7, slowness: {}, turnMs: 0.03 },
    { threads: 1, workers: 4, flopsPerMs: 9e7, bytesPerMs: 5e6, slowness: {}, turnMs: 0.04 },
  ],
};

const machineOf = (devices: readonly string[]) => {
  const [machine] = resolveTopology({
    name: 't',
    model: { vocab: 64, layers: 1, dModel: 16, heads: 2, seqLen: 8, ffn: { kind: 'swiglu', dFf: 24 } },
    data: { synthetic: 'zipf' },
    train: { steps: 2, batch: 8, grains: 8 },
    parallel: { dp: devices.length, ep: 1 },
    machines: [{ host: 'localhost', devices: [...devices] }],
  }).machines;
  if (machine === undefined) throw new RangeError('a topology has a machine');
  return machine;
};

test('calibration: a machine is the setup of its threads with the nearest number of workers', (t) => {
  t.is(calibrated(calibration, machineOf(['cpu:0/threads=2'])).turnMs, 0.02);
  t.is(calibrated(calibration, machineOf(['cpu:0'])).speed.flopsPerMs, 1e8);
  t.is(calibrated(calibration, machineOf(['cpu:0', 'cpu:1', 'cpu:2', 'cpu:3'])).speed.bytesPerMs, 5e6);
  t.throws(() => calibrated(calibration, machineOf(['cpu:0/threads=8'])), {
    code: 'TROUPE_CALIBRATION',
    message: /with this many threads: 2, 1, 1; those of localhost have 8/,
  });
});

test('calibration: anything else than one is refused, with what to type', (t) => {
  t.deepEqual(parseCalibration(JSON.parse(JSON.stringify(calibration)), 'c.json'), calibration);
  const [setup] = calibration.setups;
  for (const broken of [
    null,
    [],
    {},
    { ...calibration, version: 2 },
    { ...calibration, setups: [] },
    { ...calibration, insideBytesPerMs: 0 },
    { ...calibration, setups: [{ ...setup, turnMs: -1 }] },
    { ...calibration, setups: [{ ...setup, slowness: { adamw: 'slow' } }] },
  ])
    t.throws(() => parseCalibration(broken, 'c.json'), {
      code: 'TROUPE_CALIBRATION',
      message: /'c.json' is no calibration.*bench --calibrate/,
    });
});
