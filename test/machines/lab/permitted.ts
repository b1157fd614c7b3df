import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { outcomeOf, systemFolders } from './namespaces.ts';

/** What a lab needs of a machine beside namespaces, by the Debian package that brings it. */
const packageOf: Readonly<Record<string, string>> = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  ip: 'iproute2',
  tc: 'iproute2',
  nft: 'nftables',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  sshd: 'openssh-server',
};

const isThere = (tool: string): boolean => systemFolders.some((folder) => existsSync(join(folder, tool)));

/** Packages that are not installed here: of a lab, and of what else runs in it. */
const missingPackages = (further: Readonly<Record<string, string>>): readonly string[] => [
  ...new Set(
    Object.entries({ ...packageOf, ...further })
      .filter(([tool]) => !isThere(tool))
      .map(([, name]) => name),
  ),
];

/** Installs what is missing, where root may; what fails is said by {@link whyNoLab} and {@link whyMissing}. */
export async function installMissing(
  print: (line: string) => void,
  further: Readonly<Record<string, string>>,
): Promise<void> {
  const names = missingPackages(further);
  if (names.length === 0 || process.getuid?.() !== 0 || !isThere('apt-get')) return;
  print(`installing ${names.join(', ')}`);
  const options = ['-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=60'];
  const install = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', ...options, ...names];
  const first = await outcomeOf(install, { deadlineMs: 120_000 });
  if (first.code === 0) return;
  await outcomeOf(['apt-get', 'update', '-q'], { deadlineMs: 120_000 });
  const { code, stderr } = await outcomeOf(install, { deadlineMs: 120_000 });
  if (code !== 0) print(`apt-get: ${stderr.trim().split('\n').at(-1) ?? ''}`);
}

/** What is to be installed for what runs in a lab, in one sentence; null where nothing is missing. */
export function whyMissing(further: Readonly<Record<string, string>>): string | null {
  const names = missingPackages(further);
  return names.length === 0 ? null : `install ${names.join(', ')} (npm run test:machines does)`;
}

/** Why there can be no lab here, in one sentence; null where there can. */
export async function whyNoLab(): Promise<string | null> {
  if (process.platform !== 'linux') return 'namespaces are of Linux';
  if (process.getuid?.() !== 0) return 'only root makes machines of namespaces';
  const missing = whyMissing({});
  if (missing !== null) return missing;
  if (/^\/(?:home|root|tmp|run)\//u.test(process.execPath))
    return `node lies in ${process.execPath}, which machines do not see`;
  const { code, stderr } = await outcomeOf([
    'unshare',
    '--net',
    '--mount',
    '--pid',
    '--uts',
    '--ipc',
    '--fork',
    '--kill-child',
    '--mount-proc',
    'sh',
    '-c',
    'mount -t tmpfs tmpfs /srv && ip link add wire type bridge',
  ]);
  return code === 0 ? null : `namespaces are not permitted: ${stderr.trim()}`;
}
