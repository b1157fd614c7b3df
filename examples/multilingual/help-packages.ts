import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Debian 12; a package of another version has other hashes and is refused. */
export const VERSION = '4:7.4.7-1+deb12u14';

/** The packages `libreoffice-help-…`: the language as their help names it, and the sha256 of the package. English first. MPL-2.0. */
export const packages: Readonly<Record<string, string>> = {
  'en-US': '8faa840285734d6cfe1ed25537b48f07e74bd6412e3917bf8e5f8a653f7b3712',
  cs: '9fcbf9b3cbbc1370d827d5bc59df0227fa95bdf3b5628b907ef5fb4d8d55be6a',
  de: '00490b63c509ac96f7f212d6a6e40452d3e0d1f97ccf4b824dd5ec4c01e8277f',
  es: '9128a84d83d92c8b1c618d90469d16affddb7d1290b09d42a0c5109cb16f0480',
  fr: 'c796530d3e95af1ea4d054076682efc8aad2b569ae9513f3d4a776b2df3fd206',
  it: '7fa29342a302bb495981fdabf98f3a9c3628123f3f191b2a5c95cb583c9ff212',
  ja: '7799ace9bfe0845771ed2499913e7f7e521318cf3727c007672e3b020f8eb7b9',
  nl: '8b4b49a7d1bd0df3aa4693eeebe3f6886655427eaf736d9289c5ff6fbf489591',
  pl: '27441ce6d1303524b223aa94a17356bf7195f388d9b05a9e5e346866d7983694',
  'pt-BR': '600d4294e52a6534be923521aff7b1b9eb7e6ddb7e30b2598ad04b2fe9cf8278',
  ru: '5a2f75d5b0dfcf660275070647af528a81be28b5d3e9c3ec2d419ef5518db7a2',
  tr: '8fe832104805b66d2dc5c153564bcc55b5a084e10b3c3a3ea773c4b57659bfb8',
  'zh-CN': 'db867cdece4c2f9c7eebe65e519c6cf386fdcf49d6e061db3dffec893b3e1dee',
};

/** Puts the help of one language into `help/LANGUAGE`; what it downloads may stay in `folder`. */
export type FetchHelp = (language: string, folder: string, help: string) => void;

const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Runs a program of Debian; its words are those of the error. */
function run(command: string, args: readonly string[], cwd: string): void {
  try {
    execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const { code, stderr } = error as { readonly code?: string; readonly stderr?: Buffer };
    if (code === 'ENOENT')
      throw new Error(`there is no ${command} here: this needs Debian 12, or a machine of its kind`, {
        cause: error,
      });
    throw new Error(
      `${command} ${args.join(' ')}: ${stderr?.toString().trim() ?? String(error)}; run apt-get update first`,
      { cause: error },
    );
  }
}

/**
 * Downloads the package of a language with apt-get, compares its hash, and unpacks it without installing it.
 *
 * A package that lies in `folder/packages` already is not downloaded again.
 *
 * @throws {Error} when there is no apt-get, no package of that version, or one with another hash
 */
export const fetchFromDebian: FetchHelp = (language, folder, help) => {
  const store = join(folder, 'packages');
  mkdirSync(store, { recursive: true });
  const name = `libreoffice-help-${language.toLowerCase()}`;
  const kept = join(store, `${name}.deb`);
  const expected = packages[language];
  if (!existsSync(kept) || hashOf(kept) !== expected) {
    const work = join(store, `.${name}`);
    rmSync(work, { recursive: true, force: true });
    mkdirSync(work);
    run('apt-get', ['-q', 'download', `${name}=${VERSION}`], work);
    const [file = ''] = readdirSync(work);
    const found = hashOf(join(work, file));
    if (found !== expected)
      throw new Error(`${name} ${VERSION} has sha256 ${found}, expected ${expected}; nothing was unpacked`);
    renameSync(join(work, file), kept);
    rmSync(work, { recursive: true });
  }
  const unpacked = join(help, `.unpacked-${language}`);
  rmSync(unpacked, { recursive: true, force: true });
  run('dpkg-deb', ['--extract', kept, unpacked], help);
  renameSync(join(unpacked, 'usr/share/libreoffice/help', language), join(help, language));
  rmSync(unpacked, { recursive: true });
};
