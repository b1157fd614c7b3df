import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { outputOf, systemFolders } from '../lab/namespaces.ts';
import { CERTIFICATES, makeBaseRoot } from './base-root.ts';
import type { Instruction, Stage } from './dockerfile.ts';

/** Longest time of one instruction: an installation that compiles kernels on a busy machine. */
const INSTRUCTION_MS = 600_000;

/** What is built, and how it is started. */
export interface Image {
  readonly root: string;
  readonly workdir: string;
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
}

/** A command in a root: with a /proc and a /dev, as the first of its process ids. */
export function inRoot(
  { root, workdir, user, env }: Pick<Image, 'root' | 'workdir' | 'user' | 'env'>,
  argv: readonly string[],
  { mounts = '', apart = [] }: { readonly mounts?: string; readonly apart?: readonly string[] } = {},
): readonly string[] {
  const script = `set -e; mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; ${mounts}
    exec chroot --userspec="$1" "$0" env -i --chdir="$2" "\${@:3}"`;
  const words = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const inside = ['bash', '-c', script, root, user, workdir, ...words, ...argv];
  return ['unshare', '--mount', '--pid', '--fork', '--kill-child', ...apart, ...inside];
}

/** What `COPY` names in a folder: one path, or all files of an ending. */
function pathsOf(source: string, pattern: string): readonly string[] {
  if (pattern.startsWith('*')) return readdirSync(source).filter((name) => name.endsWith(pattern.slice(1)));
  const path = pattern.replace(/^\//u, '');
  return existsSync(join(source, path)) ? [path] : [];
}

/** Names with `$NAME` put in. */
const filledIn = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\$(\w+)/gu, (_, name: string) => env[name] ?? '');

/** Builds the stages of a Dockerfile out of roots, instruction by instruction. */
export class ImageBuilder {
  readonly #context: string;
  readonly #folder: string;
  readonly #print: (line: string) => void;
  readonly #roots = new Map<string, string>();

  /** @param context - folder that `COPY` reads; @param folder - gets a root a stage */
  constructor(context: string, folder: string, print: (line: string) => void) {
    this.#context = context;
    this.#folder = folder;
    this.#print = print;
  }

  /** @returns that of the last stage */
  async build(stages: readonly Stage[]): Promise<Image> {
    let image: Image | null = null;
    for (const [index, stage] of stages.entries()) image = await this.#stage(stage, index);
    if (image === null) throw new Error('a Dockerfile has a stage');
    return image;
  }

  async #stage({ base, name, instructions }: Stage, index: number): Promise<Image> {
    const root = join(this.#folder, `stage-${index}`);
    await makeBaseRoot(base, root);
    this.#print(`FROM ${base}`);
    this.#roots.set(name ?? String(index), root);
    let image: Image = {
      root,
      workdir: '/',
      user: 'root',
      env: { PATH: systemFolders.join(':') },
      entrypoint: [],
      command: [],
    };
    for (const instruction of instructions) {
      this.#print(`${instruction.name} ${instruction.rest}`);
      image = await this.#follow(image, instruction);
    }
    return image;
  }

  async #follow(image: Image, { name, rest, line }: Instruction): Promise<Image> {
    switch (name) {
      case 'WORKDIR':
        mkdirSync(join(image.root, rest), { recursive: true });
        return { ...image, workdir: rest };
      case 'ENV': {
        const [, key = '', value = ''] = /^(\w+)=(.*)$/u.exec(rest) ?? [];
        return { ...image, env: { ...image.env, [key]: filledIn(value, image.env) } };
      }
      case 'USER':
        return { ...image, user: rest };
      case 'ENTRYPOINT':
        return { ...image, entrypoint: JSON.parse(rest) as string[] };
      case 'CMD':
        return { ...image, command: JSON.parse(rest) as string[] };
      case 'COPY':
        this.#copy(image, rest);
        return image;
      case 'RUN': {
        const home = image.user === 'root' ? '/root' : `/home/${image.user}`;
        // A registry behind a proxy that signs itself: that is this machine's, and stays out of the image.
        const trust = existsSync(join(image.root, CERTIFICATES)) ? { NODE_EXTRA_CA_CERTS: CERTIFICATES } : {};
        const env = { HOME: home, ...trust, ...image.env };
        await outputOf(inRoot({ ...image, env }, ['sh', '-c', rest]), { deadlineMs: INSTRUCTION_MS });
        return image;
      }
      default:
        throw new Error(`line ${line}: ${name} is not played`);
    }
  }

  /** `COPY [--from=STAGE] WHAT… TO`. */
  #copy({ root, workdir }: Image, rest: string): void {
    const words = rest.split(/\s+/u);
    const from =
      words[0]?.startsWith('--from=') === true ? words.shift()?.slice('--from='.length) : undefined;
    const to = words.pop() ?? '';
    const source = from === undefined ? this.#context : (this.#roots.get(from) ?? '');
    const target = join(root, to.startsWith('/') ? to : join(workdir, to));
    for (const pattern of words) {
      const paths = pathsOf(source, pattern);
      if (paths.length === 0) throw new Error(`COPY finds nothing: ${pattern} in ${source}`);
      for (const path of paths)
        cpSync(join(source, path), to.endsWith('/') ? join(target, basename(path)) : target, {
          recursive: true,
          verbatimSymlinks: true,
        });
    }
  }
}
