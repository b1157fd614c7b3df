import { createHash } from 'node:crypto';
import type { Completion, Device, Precision } from '@troupe/kernel-set';
import { bytesOfHost, replayCase, type RecordedCase } from './recorded-case.ts';

/** What a device computes, to the last bit. */
export interface KernelFingerprint {
  /** `native`, `tfjs` or `reference`. */
  readonly body: string;
  /** 16 hexadecimal digits. */
  readonly value: string;
  /** The same of each operation, 8 digits: where two devices differ. */
  readonly ops: Readonly<Record<string, string>>;
}

const submitted = (
  device: Device,
  { calls }: Pick<ReturnType<typeof replayCase>, 'calls'>,
): Promise<Completion> => new Promise((resolve) => device.submit(calls, resolve));

/**
 * Calls every kernel on the same few numbers and hashes all that the calls leave in memory.
 *
 * KFP-1: two devices that would train another curve have another value: every operation that a run may use is called, also in bf16 where the run
 * computes in it. Instruction sets and numbers of threads of one body have one value.
 *
 * @param precision - of the run's products; f32 is called in any case
 * @throws {TroupeError} what a kernel failed with
 */
export async function kernelFingerprint(
  device: Device,
  precision: Precision = 'f32',
): Promise<KernelFingerprint> {
  const { recordedCalls, recordedInBf16 } = await import('./recorded-calls.ts');
  const ops: Record<string, string> = {};
  for (const [op, text] of Object.entries(recordedCalls)) ops[op] = await hashOf(device, text);
  if (precision === 'bf16')
    for (const [op, text] of Object.entries(recordedInBf16))
      ops[`${op} in bf16`] = await hashOf(device, text);
  const value = createHash('sha256').update(JSON.stringify(ops)).digest('hex').slice(0, 16);
  return { body: device.info.body, value, ops };
}

async function hashOf(device: Device, text: string): Promise<string> {
  const hash = createHash('sha256');
  for (const recorded of JSON.parse(text) as readonly RecordedCase[]) {
    const replayed = replayCase(device, recorded);
    const { error } = await submitted(device, replayed);
    if (error !== null) throw error;
    for (const array of replayed.arrays) hash.update(bytesOfHost(device.read(array)));
  }
  return hash.digest('hex').slice(0, 8);
}
