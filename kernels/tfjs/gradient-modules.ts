/**
 * TensorFlow.js's gradients. The bundle that tfjs-core gives to Node leaves them out; the package has them as ES modules for bundlers,
 * without extensions in their imports and without `"type": "module"`, which Node reads by hooks. All copies of TensorFlow.js share one
 * engine, so what they register is there for the backend in use.
 */
import { createRequire, register } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Registers the gradients of every operation, in this thread. */
export async function registerGradients(): Promise<void> {
  register(new URL('./gradient-hooks.js', import.meta.url));
  const core = createRequire(import.meta.url).resolve('@tensorflow/tfjs-core');
  await import(pathToFileURL(join(dirname(core), 'register_all_gradients.js')).href);
}
