import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { Tensors } from './tensors.ts';

export type TfjsBackendName = 'wasm' | 'cpu';

export interface OpenBackend {
  readonly tensors: Tensors;
  /** `wasm simd`, `wasm` or `cpu`. */
  readonly name: string;
  /** Why this backend, in one sentence. */
  readonly reason: string;
}

/** Folder of the .wasm files inside the installed package. */
export function wasmFolder(): string {
  const folder = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'));
  const file = join(folder, 'tfjs-backend-wasm.wasm');
  if (!existsSync(file)) throw new TypeError(`${file} is missing`);
  return `${folder}/`;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** One small product whose result is known. */
function smoke(tensors: Tensors): void {
  tensors.scope(() => {
    const left = tensors.matrix(2, 3, (elements) => elements.set([1, 2, 3, 4, 5, 6]));
    const right = tensors.matrix(3, 2, (elements) => elements.set([1, 0, 0, 1, 2, 2]));
    const found = [...tensors.elements(tensors.multiply(left, right))].join(' ');
    if (found !== '7 8 16 17') throw new TypeError(`its first product is ${found}, expected 7 8 16 17`);
  });
}

async function openWasm(): Promise<OpenBackend> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(wasmFolder());
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  if (!(await tf.setBackend('wasm'))) throw new TypeError('it did not initialise');
  await tf.ready();
  const tensors = new Tensors(tf.backend() as BackendWasm);
  smoke(tensors);
  const simd = (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) === true;
  return {
    tensors,
    name: simd ? 'wasm simd' : 'wasm',
    reason: simd
      ? 'WebAssembly with SIMD is the fastest backend installed'
      : 'WebAssembly runs here, without SIMD',
  };
}

async function openCpu(reason: string): Promise<OpenBackend> {
  await import('@tensorflow/tfjs-backend-cpu');
  if (!(await tf.setBackend('cpu'))) throw new TypeError('the cpu backend did not initialise');
  await tf.ready();
  const tensors = new Tensors(null);
  smoke(tensors);
  return { tensors, name: 'cpu', reason };
}

/**
 * Opens the backend asked for, by default wasm and, where that fails, cpu (plain JavaScript, some thirty times slower).
 * TensorFlow.js has one backend per thread: a second call in the same thread changes the first one's.
 */
export async function openBackend(wanted: 'auto' | TfjsBackendName): Promise<OpenBackend> {
  tf.enableProdMode();
  if (wanted === 'cpu') return openCpu('the cpu backend was asked for');
  try {
    return await openWasm();
  } catch (error) {
    if (wanted === 'wasm') throw error;
    return openCpu(`the wasm backend failed: ${messageOf(error)}`);
  }
}
