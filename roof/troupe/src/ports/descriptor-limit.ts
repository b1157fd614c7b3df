import { readFileSync } from 'node:fs';

/**
 * Files, sockets and connections that a process of this machine may have open: the hard limit, to which Node raises its own (`ulimit -Hn`).
 *
 * @returns null where the system does not say, or sets none
 */
export function descriptorLimit(): number | null {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return null;
  }
  const hard = /^Max open files\s+\S+\s+(\d+)/mu.exec(limits)?.[1];
  return hard === undefined ? null : Number(hard);
}
