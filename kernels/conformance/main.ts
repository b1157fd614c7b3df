/** `npm run conformance [-- --seed N --runs N]`: the largest error per operation and body, into RESULTS.md beside this file. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nativeAvailability, nativeIsas, openNativeDevice } from '../native/native-device.ts';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { openTfjsDevice } from '../tfjs/tfjs-device.ts';
import { F32_TOLERANCE, freshSeed, type ConformanceBody } from './body.ts';
import { errorTable, formatErrorTable } from './error-table.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string' }, runs: { type: 'string', default: '100' } },
});
const seed = values.seed === undefined ? freshSeed() : Number(values.seed);
const numRuns = Number(values.runs);

const f32 = { tolerance: F32_TOLERANCE, longWork: 0, numRuns } as const;
const absent: string[] = [];
const native = nativeIsas().map((isa): ConformanceBody => ({
  ...f32,
  name: `native ${isa}`,
  open: () => openNativeDevice({ threads: 2, isa }),
  bf16: true,
  bitwise: true,
}));
if (native.length === 0) absent.push(`native: ${nativeAvailability().reason}`);

// Its plain loops on the backend's own JavaScript are a hundred times slower.
const fewRuns = Math.max(1, Math.floor(numRuns / 5));
const tfjs: ConformanceBody[] = [];
for (const [backend, runs] of [
  ['tfjs-node', numRuns],
  ['wasm', numRuns],
  ['cpu', fewRuns],
] as const) {
  const open = () => openTfjsDevice({ backend });
  try {
    await (await open()).close();
    tfjs.push({
      ...f32,
      name: `tfjs ${backend.replace('tfjs-', '')}`,
      open,
      bitwise: false,
      bf16: false,
      numRuns: runs,
    });
  } catch (error) {
    absent.push(`tfjs ${backend}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const bodies: ConformanceBody[] = [
  ...native,
  ...tfjs,
  {
    ...f32,
    name: 'reference f32',
    open: () => openReferenceDevice({ dtype: 'f32' }),
    bitwise: true,
    bf16: true,
  },
];
const inF32 = await errorTable(bodies, seed);
const inBf16 = await errorTable(
  bodies.filter(({ bf16 }) => bf16),
  seed,
  'bf16',
);
const page = [
  '# Largest errors',
  '',
  'Written by `npm run conformance`. Every operation on random shapes, empty and ragged ones among them, against the float64 reference: the largest difference as a share of the largest expected value of an array (at least 0.1), over all outputs of the operation and all cases. "exact": integers and copies, which may not differ at all. "outside": beyond what is allowed, with the smallest case below.',
  '',
  `- machine: ${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Node ${process.versions.node}`,
  `- command: \`npm run conformance -- --seed ${seed} --runs ${numRuns}\``,
  ...absent.map((line) => `- not here: ${line}`),
  '',
  formatErrorTable(inF32),
  '',
  '## Products in bf16',
  '',
  'The reference rounds the operands of products likewise, in float64. Where a result is rounded again for the next product, one that lies near a tie lands on its other neighbour, 2^-8 apart; TensorFlow.js has no products in bf16.',
  '',
  formatErrorTable(inBf16),
  '',
].join('\n');
process.stdout.write(page);
// This file runs from kernels/dist/conformance.
const target = new URL('../../conformance/RESULTS.md', import.meta.url);
await writeFile(target, page);
process.stdout.write(`\nwritten to ${fileURLToPath(target)}\n`);
if ([...inF32.rows, ...inBf16.rows].some(({ cells }) => cells.some(({ failure }) => failure !== null)))
  process.exit(1);
