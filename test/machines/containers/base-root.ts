import { copyFileSync, cpSync, existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { outcomeOf, outputOf } from '../lab/namespaces.ts';

/** Longest time of a smallest Debian; about 40 s where nothing else runs. */
const DEBOOTSTRAP_MS = 900_000;
const MIRROR = 'http://deb.debian.org/debian';

/** What these images have beside a smallest Debian, its version of Node apart: that is this machine's. */
const packagesOf: Readonly<Record<string, readonly string[]>> = {
  'node:20-bookworm-slim': ['ca-certificates', 'libstdc++6'],
  'node:20-bookworm': ['ca-certificates', 'libstdc++6', 'g++'],
};

/** Why no root can be made here, in one sentence; null where one can. */
export async function whyNoRoot(): Promise<string | null> {
  const { code, stderr } = await outcomeOf(['debootstrap', '--version']);
  if (code !== 0) return `install debootstrap: ${stderr.trim()}`;
  const { code: reached } = await outcomeOf([
    'sh',
    '-c',
    `apt-get indextargets >/dev/null && getent hosts deb.debian.org`,
  ]);
  return reached === 0 ? null : 'the Debian mirror is not reachable';
}

/** Where a root has the certificates that this machine's Node trusts beside its own. */
export const CERTIFICATES = '/usr/local/share/machine-certificates.pem';

/** The `npm` of this machine, where images of Node have it. */
function copyNode(root: string): void {
  const bin = join(root, 'usr/local/bin');
  const lib = join(root, 'usr/local/lib/node_modules');
  mkdirSync(lib, { recursive: true });
  copyFileSync(realpathSync(process.execPath), join(bin, 'node'));
  const npm = dirname(dirname(realpathSync(join(dirname(process.execPath), 'npm'))));
  cpSync(npm, join(lib, 'npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(bin, 'npm'));
  symlinkSync('../lib/node_modules/npm/bin/npx-cli.js', join(bin, 'npx'));
  // The headers that a build of kernels reads where npm's `nodedir` says so.
  const headers = join(dirname(dirname(process.execPath)), 'include/node');
  if (existsSync(headers)) cpSync(headers, join(root, 'usr/local/include/node'), { recursive: true });
}

/**
 * A root that stands for an image: a smallest Debian with the same packages, and this machine's Node where the image has one.
 *
 * @throws {Error} for an image that is not known, or when the mirror does not answer
 */
export async function makeBaseRoot(image: string, root: string): Promise<void> {
  const packages = packagesOf[image];
  if (packages === undefined) throw new Error(`no root stands for the image ${image}`);
  mkdirSync(root, { recursive: true });
  const include = `--include=${packages.join(',')}`;
  // What it mounts meanwhile is seen by nobody else, and gone when it is ended.
  const debootstrap = ['unshare', '--mount', 'debootstrap', '--variant=minbase', include];
  await outputOf([...debootstrap, 'bookworm', root, MIRROR], { deadlineMs: DEBOOTSTRAP_MS });
  copyFileSync('/etc/resolv.conf', join(root, 'etc/resolv.conf'));
  const { NODE_EXTRA_CA_CERTS: trusted = '' } = process.env;
  if (trusted !== '') copyFileSync(trusted, join(root, CERTIFICATES));
  copyNode(root);
  await outputOf(['chroot', root, 'useradd', '--uid=1000', '--create-home', '--shell=/bin/bash', 'node']);
}
