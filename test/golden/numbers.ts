import { createHash } from 'node:crypto';
import type { Storage } from '@troupe/core';
import type { RunEvent } from '@troupe/telemetry';

/**
 * What a run computed, a line each, numbers in the shortest decimals that read back as the same double.
 *
 * Left out is what time decides (`tokensPerSecond`, shares of it) and what says how a run came about (starts, recoveries).
 */
export const curveLines = (events: readonly RunEvent[]): readonly string[] =>
  events.flatMap((event) => {
    if (event.event === 'eval') return [`eval ${event.step} loss ${event.loss} tokens ${event.tokens}`];
    if (event.event !== 'step') return [];
    const { step, loss, auxLoss, gradNorm, learningRate, tokens, maxExpertLoad } = event;
    return [
      `step ${step} loss ${loss} aux ${auxLoss} norm ${gradNorm} rate ${learningRate} tokens ${tokens} load ${maxExpertLoad}`,
    ];
  });

/** As checkpoints are called. */
export const stepFolder = (step: number): string => `step-${String(step).padStart(6, '0')}`;

/**
 * Hashes of the files of checkpoints: Adam's first moment after one step is the first gradient but for a factor, and the last files hold
 * every parameter and both moments.
 */
export async function checkpointLines(storage: Storage, lastStep: number): Promise<readonly string[]> {
  const hashOf = async (step: number, file: string): Promise<string> => {
    const bytes = await storage.read(`run/${stepFolder(step)}/${file}`);
    return `${file} ${step} sha256 ${createHash('sha256').update(bytes).digest('hex')}`;
  };
  return Promise.all([
    hashOf(1, 'optimizer.safetensors'),
    hashOf(lastStep, 'optimizer.safetensors'),
    hashOf(lastStep, 'weights.safetensors'),
  ]);
}

const isNumber = (word: string): boolean => Number.isFinite(Number(word));

/** True when two lines say the same, their numbers but for a share of `tolerance`. */
export function isNear(found: string, expected: string, tolerance: number): boolean {
  const [a, b] = [found.split(' '), expected.split(' ')];
  return (
    a.length === b.length &&
    a.every((word, index) => {
      const other = b[index] ?? '';
      if (!isNumber(word) || !isNumber(other)) return word === other;
      return Math.abs(Number(word) - Number(other)) <= tolerance * Math.abs(Number(other));
    })
  );
}
