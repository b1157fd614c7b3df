import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tfjs from '@tensorflow/tfjs-core';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { openTensorflow, type TensorflowPackageName } from './tensorflow-package.ts';
import { Tensors, type TensorMemory } from './tensors.ts';

/** In the order in which they are tried. */
export const backendNames = ['tfjs-node-gpu', 'tfjs-node', 'wasm', 'cpu'] as const;
export type TfjsBackendName = (typeof backendNames)[number];

export interface BackendWish {
  readonly backend: 'auto' | TfjsBackendName;
  /** Folder of a TensorFlow besides those that the packages of this program lie in. */
  readonly tensorflowFolder: string;
}

export interface OpenBackend {
  readonly tensors: Tensors;
  readonly backend: TfjsBackendName;
  /** `node gpu`, `node`, `wasm simd`, `wasm` or `cpu`. */
  readonly name: string;
  /** Why this backend and none before it, in one sentence. */
  readonly reason: string;
}

/**
 * How many times longer a step of the quickstart job takes than on the native kernels, by CPU time of one thread: measured, see the README.
 * Absent: not measured.
 */
const slowness: { readonly [B in TfjsBackendName]?: number } = { 'tfjs-node': 5, wasm: 6, cpu: 100 };

function slower(backend: TfjsBackendName): string {
  const times = slowness[backend];
  return times === undefined
    ? ''
    : `, about ${times} times slower than the native kernels (measured on the quickstart job)`;
}

type Opened = Omit<OpenBackend, 'backend'>;

/** Folder of the .wasm files inside the installed package. */
export function wasmFolder(): string {
  const folder = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'));
  const file = join(folder, 'tfjs-backend-wasm.wasm');
  if (!existsSync(file)) throw new TypeError(`${file} is missing`);
  return `${folder}/`;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The backend, once one small product gives what is known of it. */
function tried(tf: typeof tfjs, memory: TensorMemory): Tensors {
  const tensors = new Tensors(tf, memory);
  tensors.scope(() => {
    const left = tensors.matrix(2, 3, (elements) => elements.set([1, 2, 3, 4, 5, 6]));
    const right = tensors.matrix(3, 2, (elements) => elements.set([1, 0, 0, 1, 2, 2]));
    const found = [...tensors.elements(tensors.multiply(left, right))].join(' ');
    if (found !== '7 8 16 17') throw new TypeError(`its first product is ${found}, expected 7 8 16 17`);
  });
  return tensors;
}

function openNode(name: TensorflowPackageName, { tensorflowFolder }: BackendWish): Opened {
  const folders = [dirname(fileURLToPath(import.meta.url)), process.cwd()];
  if (name === '@tensorflow/tfjs-node') folders.push(tensorflowFolder);
  const { tf, version, isGpu, shimmed } = openTensorflow(name, folders);
  const shim = shimmed ? `, with what Node ${process.versions.node} took away given back` : '';
  return {
    tensors: tried(tf, { kind: 'tensorflow' }),
    name: isGpu ? 'node gpu' : 'node',
    reason: `${name} runs TensorFlow ${version} on ${isGpu ? 'a CUDA device' : 'the CPU'}${shim}`,
  };
}

async function openWasm(): Promise<Opened> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(wasmFolder());
  // Without this the package looks for a browser's workers.
  tfjs.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  if (!(await tfjs.setBackend('wasm'))) throw new TypeError('it did not initialise');
  await tfjs.ready();
  const tensors = tried(tfjs, { kind: 'wasm', backend: tfjs.backend() as BackendWasm });
  const simd = (await tfjs.env().getAsync('WASM_HAS_SIMD_SUPPORT')) === true;
  return {
    tensors,
    name: simd ? 'wasm simd' : 'wasm',
    reason: simd ? 'WebAssembly runs with SIMD' : 'WebAssembly runs, without SIMD',
  };
}

async function openCpu(): Promise<Opened> {
  await import('@tensorflow/tfjs-backend-cpu');
  if (!(await tfjs.setBackend('cpu'))) throw new TypeError('the cpu backend did not initialise');
  await tfjs.ready();
  return {
    tensors: tried(tfjs, { kind: 'cpu' }),
    name: 'cpu',
    reason: 'plain JavaScript runs everywhere',
  };
}

const openers: { readonly [B in TfjsBackendName]: (wish: BackendWish) => Opened | Promise<Opened> } = {
  'tfjs-node-gpu': (wish) => openNode('@tensorflow/tfjs-node-gpu', wish),
  'tfjs-node': (wish) => openNode('@tensorflow/tfjs-node', wish),
  wasm: openWasm,
  cpu: openCpu,
};

/**
 * Opens the backend asked for, by default the first of {@link backendNames} that starts; `reason` says what kept those before it.
 * TensorFlow.js has one backend per thread: a second call in the same thread changes the first one's.
 */
export async function openBackend(wish: BackendWish): Promise<OpenBackend> {
  const { backend } = wish;
  // All copies of TensorFlow.js share one environment, and say so when a second one arrives; not in production.
  tfjs.enableProdMode();
  if (backend !== 'auto') {
    const opened = await openers[backend](wish);
    return { ...opened, backend, reason: `${opened.reason}${slower(backend)}; asked for by name` };
  }
  const refusals: string[] = [];
  for (const name of backendNames) {
    try {
      const opened = await openers[name](wish);
      const before = refusals.length === 0 ? '' : `; not used: ${refusals.join('; ')}`;
      return { ...opened, backend: name, reason: `${opened.reason}${slower(name)}${before}` };
    } catch (error) {
      const message = messageOf(error);
      refusals.push(
        message.startsWith('@tensorflow/') ? message.slice('@tensorflow/'.length) : `${name}: ${message}`,
      );
    }
  }
  throw new TypeError(refusals.join('; '));
}
