import { assert, type Brand } from '@troupe/core';

/** A process with one device: 0 to pp·dp·tp - 1. */
export type WorkerRank = Brand<number, 'WorkerRank'>;

/** Position on the pipeline axis. */
export type StageIndex = Brand<number, 'StageIndex'>;

/** Position on the data axis: which replica, that is which data-parallel copy of the model. */
export type DataRank = Brand<number, 'DataRank'>;

/** Position on the tensor axis. */
export type TensorRank = Brand<number, 'TensorRank'>;

/** Which group of a layer's experts: names what is in it, not where it is. */
export type ExpertGroupId = Brand<number, 'ExpertGroupId'>;

function position<Name extends string>(value: number, name: Name): Brand<number, Name> {
  // Runs for every message: details are made only on failure.
  if (!Number.isSafeInteger(value) || value < 0)
    assert(false, 'a position is a whole number from 0', { [name]: value });
  return value as Brand<number, Name>;
}

export const workerRank = (value: number): WorkerRank => position(value, 'WorkerRank');
export const stageIndex = (value: number): StageIndex => position(value, 'StageIndex');
export const dataRank = (value: number): DataRank => position(value, 'DataRank');
export const tensorRank = (value: number): TensorRank => position(value, 'TensorRank');
export const expertGroupId = (value: number): ExpertGroupId => position(value, 'ExpertGroupId');
