/** The TensorFlow of @tensorflow/tfjs-node-gpu and @tensorflow/tfjs-node: found, opened, and told apart when it does not open. */
import { existsSync, openSync, readdirSync, readSync, closeSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as tfjsCore from '@tensorflow/tfjs-core';
import { DeviceUnavailableError } from '../errors.ts';

export type TensorflowPackageName = '@tensorflow/tfjs-node-gpu' | '@tensorflow/tfjs-node';

/** What keeps a package from opening; each has its own remedy. */
export type TensorflowProblem =
  | 'package-absent'
  | 'binding-absent'
  | 'binding-damaged'
  | 'library-absent'
  | 'library-differs'
  | 'no-gpu'
  | 'other';

export interface OpenTensorflow {
  readonly tf: typeof tfjsCore;
  /** Of libtensorflow, such as 2.15.1. */
  readonly version: string;
  readonly isGpu: boolean;
  /** True where Node no longer has what the package calls, and it was given back. */
  readonly shimmed: boolean;
}

const remedies: { readonly [P in TensorflowProblem]: (name: TensorflowPackageName) => string } = {
  'package-absent': (name) =>
    name === '@tensorflow/tfjs-node'
      ? 'is not installed (`npm run setup:tensorflow` builds it)'
      : `is not installed (with an NVIDIA GPU: \`npm install --no-save ${name}\`)`,
  'binding-absent': (name) =>
    `is installed without its binding, as --ignore-scripts or a failed download leaves it; run \`npm rebuild ${name} --build-addon-from-source\`, or remove it and run \`npm run setup:tensorflow\``,
  'binding-damaged': () =>
    'has a binding or library that is cut short; install it again, or run `npm run setup:tensorflow -- --force` if that built it',
  'library-absent': (name) =>
    `has a binding and no libtensorflow beside it; \`npm rebuild ${name}\` downloads it, or remove the package and run \`npm run setup:tensorflow\``,
  'library-differs': () =>
    'has a libtensorflow of another version than its binding; install it again, or run `npm run setup:tensorflow -- --force` if that built it',
  'no-gpu': () =>
    'runs, but TensorFlow sees no CUDA device; look at `nvidia-smi`, and whether CUDA and cuDNN are those that its libtensorflow wants',
  other: () => 'does not start',
};

/** A TensorFlow package that cannot be used, and why. */
export class TensorflowPackageError extends DeviceUnavailableError {
  readonly problem: TensorflowProblem;

  constructor(packageName: TensorflowPackageName, problem: TensorflowProblem, cause?: unknown) {
    const why =
      cause instanceof Error && problem !== 'package-absent' ? ` (${cause.message.split('\n')[0]})` : '';
    super(`${packageName} ${remedies[problem](packageName)}${why}`, {
      details: { packageName, problem },
      cause,
    });
    this.problem = problem;
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

/** What the package's own failure means. */
function problemOf(error: unknown): TensorflowProblem {
  const message = error instanceof Error ? error.message : String(error);
  if (/tfjs_binding\.node\) can not be found/.test(message)) return 'binding-absent';
  if (codeOf(error) !== 'ERR_DLOPEN_FAILED') return 'other';
  if (/undefined symbol|version .* not found|symbol not found/i.test(message)) return 'library-differs';
  return /libtensorflow|cannot open shared object|image not found|Library not loaded/i.test(message)
    ? 'library-absent'
    : 'other';
}

/**
 * Whether an ELF file has all the bytes that its header speaks of: its section table comes last. Mapping one that is cut short kills
 * the process, so this is looked at before.
 */
export function isWholeElf(path: string): boolean {
  const header = Buffer.alloc(64);
  const file = openSync(path, 'r');
  try {
    if (readSync(file, header) < 64) return false;
  } finally {
    closeSync(file);
  }
  const isElf64 = header.readUInt32BE(0) === 0x7f454c46 && header[4] === 2 && header[5] === 1;
  // Other formats are another loader's business.
  if (!isElf64) return process.platform !== 'linux';
  const end = Number(header.readBigUInt64LE(0x28)) + header.readUInt16LE(0x3a) * header.readUInt16LE(0x3c);
  return statSync(path).size >= end;
}

/** Binding and libraries of an installed package that are there but cut short. */
function damaged(folder: string): boolean {
  const bindings = join(folder, 'lib');
  const files = existsSync(bindings)
    ? readdirSync(bindings).map((abi) => join(bindings, abi, 'tfjs_binding.node'))
    : [];
  const libraries = ['libtensorflow.so.2', 'libtensorflow_framework.so.2'];
  files.push(...libraries.map((name) => join(folder, 'deps', 'lib', name)));
  return process.platform === 'linux' && files.some((path) => existsSync(path) && !isWholeElf(path));
}

/** Node 23 took these away; the package calls them in nearly every operation. */
function giveBack(require: NodeJS.Require): boolean {
  const util = require('node:util') as Record<string, unknown>;
  const missing = typeof util['isNullOrUndefined'] !== 'function';
  if (missing) util['isNullOrUndefined'] = (value: unknown): boolean => value === null || value === undefined;
  if (typeof util['isArray'] !== 'function') util['isArray'] = Array.isArray;
  return missing;
}

interface NodeBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: { readonly TF_Version: string };
}

/** Where `require` finds a package from a folder; null where it does not. */
function resolve(
  name: TensorflowPackageName,
  folder: string,
): { require: NodeJS.Require; entry: string } | null {
  const require = createRequire(join(folder, 'package.json'));
  try {
    return { require, entry: require.resolve(name) };
  } catch (error) {
    if (codeOf(error) === 'MODULE_NOT_FOUND') return null;
    throw new TensorflowPackageError(name, 'other', error);
  }
}

/**
 * Opens a package; its own copy of TensorFlow.js is the one to use, since backends are registered with it alone.
 *
 * @param folders - where to look for it, in this order; the first that has the package decides
 * @throws {TensorflowPackageError} TROUPE_DEVICE_UNAVAILABLE with `problem`
 */
export function openTensorflow(name: TensorflowPackageName, folders: readonly string[]): OpenTensorflow {
  const found = folders.map((folder) => resolve(name, folder)).find((each) => each !== null);
  if (found === undefined || found === null) throw new TensorflowPackageError(name, 'package-absent');
  const { require, entry } = found;
  if (damaged(dirname(dirname(entry)))) throw new TensorflowPackageError(name, 'binding-damaged');
  const shimmed = giveBack(require);
  let tf: typeof tfjsCore;
  try {
    tf = require(name) as typeof tfjsCore;
  } catch (error) {
    throw new TensorflowPackageError(name, problemOf(error), error);
  }
  const backend = tf.backend() as unknown as NodeBackend;
  const isGpu = backend.isUsingGpuDevice;
  if (name === '@tensorflow/tfjs-node-gpu' && !isGpu) throw new TensorflowPackageError(name, 'no-gpu');
  return { tf, version: backend.binding.TF_Version, isGpu, shimmed };
}
