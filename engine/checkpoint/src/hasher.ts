import { createHash, type Hash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { assert } from '@troupe/core';
import { CheckpointHasherError } from './errors.ts';
import type { HashAnswer, HashRequest } from './hash-worker.ts';

/** One SHA-256 in the making. */
export type HashStream = number;

/**
 * SHA-256 of several streams at once, since a tensor's bytes count for its own hash and for its file's.
 *
 * Calls on one hasher are carried out in the order in which they were made.
 */
export interface Hasher {
  open(): HashStream;
  /** Takes `bytes` over until the promise is settled, then gives the same bytes back, perhaps in another array. */
  update(streams: readonly HashStream[], bytes: Uint8Array): Promise<Uint8Array>;
  /** Lower-case hexadecimal; ends the stream. */
  digest(stream: HashStream): Promise<string>;
  close(): Promise<void>;
}

/** Hashes on the caller's thread: for the simulator, where no other thread may order events, and for small things. */
export function inlineHasher(): Hasher {
  const hashes = new Map<HashStream, Hash>();
  let numOpened = 0;
  const hashOf = (stream: HashStream): Hash => {
    const hash = hashes.get(stream);
    assert(hash !== undefined, 'a hash stream is open until its digest', { stream });
    return hash;
  };
  return {
    open() {
      numOpened += 1;
      hashes.set(numOpened, createHash('sha256'));
      return numOpened;
    },
    async update(streams, bytes) {
      for (const stream of streams) hashOf(stream).update(bytes);
      return bytes;
    },
    async digest(stream) {
      const hex = hashOf(stream).digest('hex');
      hashes.delete(stream);
      return hex;
    },
    async close() {
      hashes.clear();
    },
  };
}

interface Waiter {
  resolve(answer: HashAnswer): void;
  reject(error: unknown): void;
}

/**
 * Hashes on a thread of its own, so that heartbeats are answered meanwhile. The thread starts with the first stream
 * and keeps no process alive while it is idle.
 */
export function workerHasher(): Hasher {
  let worker: Worker | null = null;
  let failure: CheckpointHasherError | null = null;
  let numOpened = 0;
  let waiters: Waiter[] = [];

  const fail = (reason: string, cause?: unknown): void => {
    failure ??= new CheckpointHasherError(reason, cause);
    const waiting = waiters;
    waiters = [];
    for (const waiter of waiting) waiter.reject(failure);
  };
  const start = (): Worker => {
    const started = new Worker(new URL('./hash-worker.js', import.meta.url));
    started.on('message', (answer: HashAnswer) => {
      const waiter = waiters.shift();
      if (waiters.length === 0) started.unref();
      waiter?.resolve(answer);
    });
    started.on('error', (error) => fail(error.message, error));
    started.on('exit', (code) => fail(`exit code ${code}`));
    started.unref();
    return started;
  };
  const ask = (request: HashRequest, transfer: readonly ArrayBuffer[] = []): Promise<HashAnswer> =>
    new Promise((resolve, reject) => {
      if (failure !== null) {
        reject(failure);
        return;
      }
      worker ??= start();
      waiters.push({ resolve, reject });
      worker.ref();
      worker.postMessage(request, transfer);
    });

  return {
    open() {
      numOpened += 1;
      return numOpened;
    },
    async update(streams, bytes) {
      const whole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
      const buffer = whole ? bytes.buffer : bytes.slice().buffer;
      const answer = await ask({ kind: 'update', streams, buffer }, [buffer]);
      assert(answer.kind === 'updated', 'the hashing thread answers in order');
      return new Uint8Array(answer.buffer);
    },
    async digest(stream) {
      const answer = await ask({ kind: 'digest', stream });
      assert(answer.kind === 'digested', 'the hashing thread answers in order');
      return answer.sha256;
    },
    async close() {
      fail('it was closed');
      await worker?.terminate();
    },
  };
}

/** Most bytes that are hashed on the caller's thread: milliseconds, where a thread takes a tenth of a second of a core to start. */
const INLINE_BYTES_MAX = 4 * 2 ** 20;

/** For so many bytes in all: inline while nobody would notice, else on a thread of its own. */
export const hasherFor = (sizeBytes: number): Hasher =>
  sizeBytes <= INLINE_BYTES_MAX ? inlineHasher() : workerHasher();
