import { KEYS, USER } from './ssh-files.ts';

/** Where a machine finds this repository, read-only. */
export const PROGRAM = '/srv/troupe';
/** A folder that all machines of a lab share, or that each has for itself. */
export const SHARED = '/srv/shared';
/** Number of the user and of its group. */
export const USER_ID = 4242;

/**
 * The room that the machines stand in: the repository, keys and the shared disk in memory, and the bridge between them.
 *
 * Arguments: the repository, and `bridge` or `switch`.
 */
export const roomScript = `set -eu
mount -t tmpfs -o mode=755 tmpfs /srv
mkdir -m 755 ${PROGRAM} ${KEYS}
mkdir -m 1777 ${SHARED}
mount --bind "$1" ${PROGRAM}
mount -o remount,bind,ro ${PROGRAM}
ip link set lo up
if [ "$2" = bridge ]; then ip link add wire type bridge && ip link set wire up; fi
echo ready
cat >/dev/null
`;

/**
 * A machine: own /tmp, /run, /home, /root, /dev/shm and /etc in memory, everything else read-only, and a user that is not root.
 *
 * Its network card comes after \`mounted\`; then it is told to go on. \`docker0\` has the address that it has on every Docker host.
 * Arguments: name, address, the sixth octet's pair for IPv6, machine id, disk (shared, own), ssh or none, hardware address.
 */
export const machineScript = `set -eu
name=$1 address=$2 address6=$3 id=$4 disk=$5 server=$6 mac=$7
hostname "$name"
mount -o remount,bind,ro /
for each in /tmp:1777 /var/tmp:1777 /dev/shm:1777 /run:755 /home:755 /root:700; do
  mount -t tmpfs -o mode="\${each#*:}" tmpfs "\${each%:*}"
done
mkdir /run/sshd /run/etc /run/etc-work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc-work overlay /etc
if [ "$disk" = own ]; then mount -t tmpfs -o mode=1777 tmpfs ${SHARED}; fi
echo "$name" > /etc/hostname
echo "$id" > /etc/machine-id
cp ${KEYS}/hosts /etc/hosts
echo "${USER}:x:${USER_ID}:${USER_ID}::/home/${USER}:/bin/bash" >> /etc/passwd
echo "${USER}:x:${USER_ID}:" >> /etc/group
echo "${USER}:*:19000:0:99999:7:::" >> /etc/shadow
mkdir -p /home/${USER}/.cache /home/${USER}/work
if [ "$server" = ssh ]; then
  mkdir -m 700 /home/${USER}/.ssh
  cp ${KEYS}/id ${KEYS}/config ${KEYS}/known_hosts /home/${USER}/.ssh/
  cp ${KEYS}/id.pub /home/${USER}/.ssh/authorized_keys
  chmod 600 /home/${USER}/.ssh/*
fi
chown -R ${USER_ID}:${USER_ID} /home/${USER}
echo mounted
read -r go
ip link set lo up
ip link add docker0 type bridge
ip addr add 172.17.0.1/16 dev docker0
ip link set docker0 up
ip link set eth0 address "$mac"
ip addr add "$address/24" dev eth0
ip link set eth0 up
# Where the kernel has no IPv6, machines have none either.
ip addr add "$address6/64" dev eth0 nodad 2>/dev/null || true
if [ "$server" = ssh ]; then
  /usr/sbin/sshd -f ${KEYS}/sshd-"$name" -E /run/sshd.log
  # It writes the file once it listens.
  until [ -s /run/sshd.pid ]; do sleep 0.02; done
fi
echo ready
cat >/dev/null
`;
