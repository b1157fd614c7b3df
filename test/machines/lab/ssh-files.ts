/** Where a lab keeps keys; in mounts that only its machines see. */
export const KEYS = '/srv/lab';

/** The user that logs in and owns what runs. */
export const USER = 'troupe';

/** A server for that user alone, and for the lab's key alone. */
export const sshdConfig = (name: string): string => `Port 22
HostKey ${KEYS}/host-${name}
PidFile /run/sshd.pid
AllowUsers ${USER}
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
UsePAM no
UseDNS no
PrintMotd no
`;

/** What a user of such machines has in ~/.ssh/config. */
export const sshConfig = (names: readonly string[]): string => `Host ${names.join(' ')}
  User ${USER}
  IdentityFile ~/.ssh/id
  IdentitiesOnly yes
  StrictHostKeyChecking yes
`;

/** Lines of known_hosts: every machine under its name and its address. */
export const knownHosts = (
  machines: readonly { readonly name: string; readonly address: string; readonly publicKey: string }[],
): string =>
  machines
    .map(({ name, address, publicKey }) => {
      const [kind, key] = publicKey.split(' ');
      return `${name},${address} ${kind} ${key}\n`;
    })
    .join('');
