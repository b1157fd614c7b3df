/** `npm run record-calls`: what the fingerprint of kernels calls, into fingerprint/recorded-calls.ts: two random cases of every operation. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { KernelOp } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import { recordCase, replayCase, type RecordedCase } from '../fingerprint/recorded-case.ts';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { Draw } from './draw.ts';
import { builtInBf16, productOps } from './in-bf16.ts';
import { operationCases } from './operation-cases.ts';

const SEED = 22;
const SAMPLES = 60;
const KEPT = 2;
/** Characters of a case: all of them together are loaded with every agent. */
const LENGTH_MAX = 2500;

const device = openReferenceDevice({ dtype: 'f32' });

/** Numbers that no body rounds alike prove nothing: NaN has many bits. */
function isSound(recorded: RecordedCase): boolean {
  const { calls, arrays } = replayCase(device, recorded);
  const { error } = device.run(calls);
  if (error !== null) throw error;
  return arrays.every(
    (array) => !Array.from(device.read(array) as ArrayLike<number | bigint>).some(Number.isNaN),
  );
}

/** The largest of many random cases that are small enough: none of them is empty. */
function recordedCases(op: KernelOp, isBf16: boolean): string {
  const shaped = fc.sample(operationCases[op], { seed: SEED, numRuns: SAMPLES });
  const recorded = shaped.map(({ build }, at) => {
    const built = build(device, new Draw(SEED + at));
    return recordCase(device, (isBf16 ? builtInBf16(device, built, at % 2 === 0) : built).calls);
  });
  const sized = recorded.map((each) => ({ each, length: JSON.stringify(each).length }));
  const fitting = sized.filter(({ each, length }) => length <= LENGTH_MAX && isSound(each));
  const kept = fitting.sort((a, b) => b.length - a.length).slice(0, KEPT);
  if (kept.length < KEPT) throw new RangeError(`${op} has no case of at most ${LENGTH_MAX} characters`);
  return JSON.stringify(kept.map(({ each }) => each));
}

const table = (name: string, ops: readonly KernelOp[], isBf16: boolean): readonly string[] => [
  `export const ${name}: Readonly<Record<string, string>> = {`,
  ...ops.map((op) => {
    const key = /^[a-z]+$/u.test(op) ? op : `'${op}'`;
    return `  ${key}: '${recordedCases(op, isBf16)}',`;
  }),
  '};',
];
const text = [
  '// Written by `npm run record-calls`. Other numbers here change the fingerprint of every machine alike.',
  '',
  '/** Cases of every operation, as JSON. */',
  ...table('recordedCalls', Object.keys(operationCases) as KernelOp[], false),
  '',
  '/** Of those with products, in bf16. */',
  ...table('recordedInBf16', productOps, true),
  '',
].join('\n');
// This file runs from kernels/dist/conformance.
const target = fileURLToPath(new URL('../../fingerprint/recorded-calls.ts', import.meta.url));
writeFileSync(target, text);
process.stdout.write(`${target}: ${text.length} characters\n`);
