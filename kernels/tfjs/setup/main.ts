/** `npm run setup:tensorflow [-- --force]`: see {@link setupTensorflow}. */
import { TroupeError } from '@troupe/core';
import { builtTensorflowFolder } from '../tensorflow-environment.ts';
import { setupTensorflow } from './setup.ts';

const folder = builtTensorflowFolder();
const print = (line: string): void => void process.stdout.write(`${line}\n`);
try {
  print(`TensorFlow for Troupe, in ${folder}`);
  await setupTensorflow({ folder, force: process.argv.includes('--force'), env: process.env, print });
  print('Ready. `device: tfjs` takes it from now on; delete the folder to go back.');
} catch (error) {
  if (!(error instanceof TroupeError)) throw error;
  process.stderr.write(`${error.code} ${error.message}\n`);
  process.exitCode = 1;
}
