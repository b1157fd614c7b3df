import type { RunStatus } from 'troupe/control';
import { duration } from '../run/numbers.ts';

type SeenNode = RunStatus['nodes'][number];

/** A node that has said nothing for so long is called silent; heartbeats come every second. */
const SILENT_MS = 3000;

/** `expert/L0/ep1` → `expert`. */
const roleOf = (address: string): string => address.split('/')[0] ?? address;

/** What people look for first; other roles come behind. */
const ROLES = ['expert', 'stage', 'gate', 'optimizer', 'ward'];
const rankOf = (role: string): number => (ROLES.includes(role) ? ROLES.indexOf(role) : ROLES.length);

/** Equal names counted: `3 expert serving`, and without a number where there is one. */
function tally(names: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count === 1 ? name : `${count} ${name}`));
}

/** Whether it answers: `up`, `silent for 5s`, `restarting (life 2)`. */
export function presence({ isAway, life, seenMs }: SeenNode): string {
  if (isAway) return `restarting (life ${life})`;
  if (seenMs === null) return 'starting';
  const silent = seenMs > SILENT_MS ? `silent for ${duration(seenMs / 1000)}` : 'up';
  return life === 1 ? silent : `${silent} (life ${life})`;
}

/** What the actors of nodes do, by role: `4 expert serving, 2 stage forwarding`. */
export const doings = (nodes: readonly SeenNode[]): string =>
  tally(
    nodes
      .flatMap(({ actors }) => actors.map(({ address, state }) => ({ role: roleOf(address), state })))
      .sort((a, b) => rankOf(a.role) - rankOf(b.role))
      .map(({ role, state }) => `${role} ${state.split('.')[0] ?? state}`),
  ).join(', ');

/** Events that wait for the actors of a node. */
export const waiting = ({ actors }: SeenNode): number =>
  actors.reduce((sum, { mailboxSize }) => sum + mailboxSize, 0);

/** `2 workers up, 1 restarting` over all nodes. */
export const presences = (nodes: readonly SeenNode[]): string =>
  tally(nodes.map((node) => presence(node).replace(/ (?:for .*|\(.*\))$/u, ''))).join(', ');
