/**
 * `npm run pack:check [-- --keep]`: packs what people install, installs it into an empty folder with nothing but the registry, and uses
 * it there: the command, a program of one's own, the types, with the native kernels and without a compiler. `--keep` leaves the folder.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../tidy/source-file.ts';
import { Consumer } from './consumer.ts';
import { packAll } from './pack.ts';

const NUM_STEPS = 5;

interface StepLine {
  readonly event: string;
  readonly loss?: number;
  readonly reason?: string;
}

const print = (line: string): void => console.log(line);

/** Losses of a launch as `--json` prints them, and why its device was chosen. */
function launch(
  consumer: Consumer,
  topology: string,
  env: Readonly<Record<string, string>>,
): { readonly losses: readonly number[]; readonly reason: string } {
  const args = ['troupe', 'launch', topology, '--json', '--stop-after', String(NUM_STEPS)];
  const lines = consumer
    .run('npx', args, env)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as StepLine);
  const losses = lines.filter(({ event }) => event === 'step').map(({ loss = Number.NaN }) => loss);
  const reason = lines.find(({ event }) => event === 'start')?.reason ?? '';
  if (losses.length !== NUM_STEPS || !losses.every(Number.isFinite))
    throw new Error(`launch ${topology} printed the losses ${losses.join(', ')}`);
  return { losses, reason };
}

/** The same five steps in a program of one's own. */
const embedded = `import { loadTopology, startCluster } from 'troupe';
const cluster = await startCluster(loadTopology('tiny'), { stopAfter: ${NUM_STEPS} });
const losses = [];
for await (const { loss } of cluster.steps()) losses.push(loss);
const { error } = await cluster.result;
if (error !== null) throw error;
console.log(JSON.stringify(losses));`;

function checkRuns(consumer: Consumer): void {
  const quickstart = launch(consumer, 'quickstart', {});
  print(`launch quickstart: loss ${quickstart.losses.at(-1)?.toFixed(4)}; ${quickstart.reason}`);
  const tiny = launch(consumer, 'tiny', {});
  const own = JSON.parse(consumer.run('node', ['--input-type=module', '-e', embedded])) as readonly number[];
  if (String(own) !== String(tiny.losses))
    throw new Error(`embedded: losses ${own.join(', ')} instead of ${tiny.losses.join(', ')}`);
  print('embedded: the losses of launch, bit for bit');
  for (const name of consumer.examples) {
    consumer.run('node', [join('run', `${name}.js`)]);
    print(`example: ${name} runs`);
  }
}

/** As on a machine without a compiler: no addon, and none to be built. */
function checkWithoutCompiler(consumer: Consumer): void {
  rmSync(join(consumer.folder, 'node_modules/@troupe/kernels/native/build'), {
    recursive: true,
    force: true,
  });
  const { reason, losses } = launch(consumer, 'quickstart', { CXX: '/bin/false' });
  if (!reason.startsWith('tfjs')) throw new Error(`without a compiler: ${reason}`);
  print(`without a compiler: loss ${losses.at(-1)?.toFixed(4)}; ${reason}`);
}

const root = repositoryRoot();
// What the repository has compiled of the same sources is not compiled again; what is not the same is.
process.env['TROUPE_NATIVE_OBJECTS'] = join(root, 'kernels/native/build');
const consumer = new Consumer(root);
try {
  const tarballs = packAll(root, join(root, 'build/pack'), print);
  consumer.install(tarballs);
  print(`installed in ${consumer.folder}`);
  consumer.checkTypes(print);
  checkRuns(consumer);
  checkWithoutCompiler(consumer);
  print('pack:check: all right');
} catch (error) {
  const { message, stdout = '', stderr = '' } = error as Error & { stdout?: string; stderr?: string };
  console.error(`pack:check: ${message}\n${stdout}${stderr}`);
  process.exitCode = 1;
} finally {
  if (!process.argv.includes('--keep')) consumer.remove();
}
