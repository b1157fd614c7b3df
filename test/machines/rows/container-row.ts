import { deepStrictEqual, match } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { packAll } from '../../pack/pack.ts';
import { repositoryRoot } from '../../tidy/source-file.ts';
import { whyNoRoot } from '../containers/base-root.ts';
import { stagesOf } from '../containers/dockerfile.ts';
import { ImageBuilder, inRoot, type Image } from '../containers/image.ts';
import { outcomeOf, outputOf, systemEnvironment } from '../lab/namespaces.ts';
import { seconds, type Row } from './row.ts';

/** What a careful operator gives a container: a root that nobody writes, no network, memory for what may be written. */
const careful = {
  mounts: `mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"
    for each in work scratch tmp; do mount -t tmpfs -o mode=1777 tmpfs "$0/$each"; done; ip link set lo up`,
  apart: ['--net'],
};

interface Line {
  readonly event: string;
  readonly loss?: number;
  readonly reason?: string;
}

const linesOf = (text: string): readonly Line[] =>
  text
    .trim()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);

const lossesOf = (lines: readonly Line[]): readonly number[] =>
  lines.filter(({ event }) => event === 'step').map(({ loss = Number.NaN }) => loss);

const train = ['launch', 'tiny', '--json', '--stop-after', '3'];

/** The losses of the same command here. */
async function expectedLosses(root: string, folder: string): Promise<readonly number[]> {
  const program = join(root, 'roof/troupe/bin/troupe.js');
  const stdout = await outputOf([process.execPath, program, ...train, '--run-dir', join(folder, 'here')], {
    deadlineMs: 120_000,
  });
  return lossesOf(linesOf(stdout));
}

/** As `docker stop` does: TERM to the first process of the container, once a step is done. */
async function stopped(image: Image): Promise<{ readonly code: number | null; readonly output: string }> {
  const command = inRoot(image, [...image.entrypoint, 'launch', 'tiny', '--json'], careful);
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'], env: systemEnvironment });
  let output = '';
  let isAsked = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (isAsked || !output.includes('"event":"step"')) return;
    isAsked = true;
    const [first = ''] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ');
    if (Number(first) > 1) process.kill(Number(first), 'SIGTERM');
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output };
}

/** `examples/containers/Dockerfile`, instruction by instruction, in roots instead of images. */
export const containerRow: Row = {
  name: 'the Dockerfile of examples/containers: an image trains read-only, as nobody, without a network, and ends when it is asked to',
  lab: { machines: 1 },
  needs: { debootstrap: 'debootstrap' },
  play: async () => {
    const missing = await whyNoRoot();
    if (missing !== null) return `not played: ${missing}`;
    const root = repositoryRoot();
    mkdirSync(join(root, 'build'), { recursive: true });
    const folder = mkdtempSync(join(root, 'build/containers-'));
    const startMs = performance.now();
    try {
      packAll(root, join(root, 'build/pack'), () => {});
      const context = join(folder, 'context');
      cpSync(join(root, 'build/pack'), context, { recursive: true });
      const text = readFileSync(join(root, 'examples/containers/Dockerfile'), 'utf8');
      const print = (line: string): void => console.log(`  ${seconds(performance.now() - startMs)} ${line}`);
      const builder = new ImageBuilder(context, folder, print);
      const image = await builder.build(stagesOf(text));
      const built = seconds(performance.now() - startMs);
      print('doctor');
      const looked = await outcomeOf(inRoot(image, [...image.entrypoint, ...image.command], careful));
      match(looked.stdout, /native/u, looked.stdout + looked.stderr);
      print('launch');
      const trained = await outputOf(inRoot(image, [...image.entrypoint, ...train], careful), {
        deadlineMs: 120_000,
      });
      const lines = linesOf(trained);
      match(lines.find(({ event }) => event === 'start')?.reason ?? '', /native|AVX|avx|compiled/u);
      deepStrictEqual(lossesOf(lines), await expectedLosses(root, folder));
      print('stop');
      const { code, output } = await stopped(image);
      deepStrictEqual(code, 143, output);
      match(output, /"event":"checkpoint"/u);
      return `built in ${built}; losses of this machine; TERM to its first process saves and ends with 143`;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
