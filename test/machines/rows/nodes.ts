import { deepStrictEqual } from 'node:assert/strict';
import type { Endpoints } from '@troupe/transport';
import type { Lab } from '../lab/lab.ts';
import { Talk } from '../lab/talk.ts';
import { sharedPair } from '../programs/x25519-pair.ts';

/** What the program `node` says of numbered packets. */
export interface Paced {
  readonly count: number;
  readonly gapMs: number;
  readonly wrong: number;
}

/** A transport on each of the first two machines of a lab, with CURVE, which know each other. */
export interface Nodes {
  readonly a: Talk;
  readonly b: Talk;
  end(): void;
}

export async function nodesOf(lab: Lab): Promise<Nodes> {
  const curve = sharedPair();
  const names = ['a', 'b'] as const;
  const talks = names.map((node, index) => {
    const talk = new Talk(lab.at(index), 'node');
    talk.tell({ open: { node, host: lab.at(index).address, curve } });
    return talk;
  });
  const peers: Record<string, Endpoints> = {};
  for (const [index, talk] of talks.entries()) {
    const { line } = await talk.answer('endpoints');
    peers[names[index] ?? ''] = line['endpoints'] as Endpoints;
  }
  for (const talk of talks) talk.tell({ peers });
  for (const talk of talks) await talk.answer('ready');
  const [a, b] = talks as [Talk, Talk];
  return { a, b, end: () => talks.forEach((talk) => talk.end()) };
}

/** Numbered packets both ways, every 20 ms; settles when both have heard some. */
export async function paced({ a, b }: Nodes): Promise<void> {
  a.tell({ pace: { to: 'b', everyMs: 20 } });
  b.tell({ pace: { to: 'a', everyMs: 20 } });
  await Promise.all([a.answer('paced'), b.answer('paced')]);
}

/** The numbered packets that a node hears once `count` more than by now have come. */
export async function heard(talk: Talk, count: number, limitMs: number): Promise<Paced> {
  const of = (line: Readonly<Record<string, unknown>>): Paced | undefined =>
    line['paced'] as Paced | undefined;
  const before = talk.said.findLast(({ line }) => 'paced' in line)?.line;
  const goal = (before === undefined ? 0 : (of(before)?.count ?? 0)) + count;
  const said = await talk.until(({ line }) => (of(line)?.count ?? 0) >= goal, { limitMs });
  const found = said === null ? undefined : of(said.line);
  if (found === undefined)
    throw new Error(`${goal} packets did not come within ${limitMs} ms; ${JSON.stringify(talk.said.at(-1))}`);
  return found;
}

/** Events of peers that a node has reported, `type` alone. */
export const eventsOf = (talk: Talk): readonly string[] =>
  talk.said.flatMap(({ line }) => ('peer' in line ? [(line['peer'] as { type: string }).type] : []));

/** When a node lost the other one, milliseconds behind `sinceMs`; throws when it does not within the limit. */
export async function lostAfter(talk: Talk, sinceMs: number, limitMs: number): Promise<number> {
  const isLoss = ({ line }: { readonly line: Readonly<Record<string, unknown>> }): boolean =>
    (line['peer'] as { type?: string } | undefined)?.type === 'peer.lost';
  const said = await talk.until(isLoss, { limitMs });
  if (said === null)
    throw new Error(`no loss within ${limitMs} ms; heard ${JSON.stringify(talk.said.slice(-3))}`);
  return said.atMs - sinceMs;
}

/** Packets came in order, none twice, and no link was lost on the way. */
export function assertUndisturbed(talk: Talk, { wrong }: Paced): void {
  deepStrictEqual([wrong, eventsOf(talk)], [0, ['peer.up']]);
}
