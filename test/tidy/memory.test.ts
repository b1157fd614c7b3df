import { memoryViolations } from './memory.ts';
import { testRules } from './rule.ts';
import { repositoryRoot, repositorySources } from './source-file.ts';

testRules(
  [
    {
      name: 'only bodies see through a device array',
      judge: memoryViolations,
      guilty: [
        {
          plant: { 'actors/gate/a.ts': "import { onHost } from '@troupe/kernel-set';" },
          says: /onHost is for bodies; ask the device/,
        },
        {
          plant: { 'engine/model/src/a.ts': 'const x = asDeviceArray(new Float32Array(3));' },
          says: /asDeviceArray is for bodies/,
        },
        {
          plant: { 'roof/troupe/src/a.ts': 'export const device = { ...hostMemory };' },
          says: /hostMemory is for bodies/,
        },
      ],
      innocent: [
        {
          'kernels/reference/a.ts': 'run(onHost(call));',
          'engine/sim/src/a.ts': 'return { ...hostMemory };',
          'roof/troupe/src/profile/recorder.ts': 'callCost(onHost(call));',
          'actors/gate/a.test.ts': 'const x = asDeviceArray(new Float32Array(3));',
          'actors/gate/a.ts': 'const x = device.read(array); // onHost is for bodies',
        },
      ],
    },
  ],
  repositorySources(repositoryRoot()),
);
