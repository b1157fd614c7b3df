import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** What `npm run setup:tensorflow` builds; everything of it is pinned. */
export const TFJS_NODE_VERSION = '4.22.0';
/** 2.18 and later break tf.round of integers under this package, 2.11 and earlier have no C library in their wheel. */
export const LIBTENSORFLOW_VERSION = '2.15.1';

/**
 * Where the TensorFlow of `npm run setup:tensorflow` lies: `$TROUPE_TENSORFLOW`, else in the user's cache, where `npm ci` leaves it alone
 * and every checkout finds it.
 */
export function builtTensorflowFolder(env: NodeJS.ProcessEnv = process.env): string {
  const told = env['XDG_CACHE_HOME'] ?? '';
  const cache = isAbsolute(told) ? told : join(homedir(), '.cache');
  const build = `tfjs-node-${TFJS_NODE_VERSION}-libtensorflow-${LIBTENSORFLOW_VERSION}-${process.platform}-${process.arch}`;
  return env['TROUPE_TENSORFLOW'] ?? join(cache, 'troupe', build);
}

/**
 * Sets what libtensorflow reads from the environment when it is loaded, unless the user did: its threads, and how much it prints. It reads
 * them once in a process, and a worker thread could not set them.
 *
 * @returns the threads that TensorFlow has in this process
 */
export function setTensorflowEnvironment(threads: number, env: NodeJS.ProcessEnv = process.env): number {
  env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  env['TF_NUM_INTRAOP_THREADS'] ??= String(threads);
  // Operations come one by one; a second pool would only wait.
  env['TF_NUM_INTEROP_THREADS'] ??= '1';
  return Number(env['TF_NUM_INTRAOP_THREADS']);
}
