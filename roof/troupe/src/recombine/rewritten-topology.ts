import { basename } from 'node:path';
import { resolveTopology, type FilledTopology, type ResolvedTopology } from '@troupe/topology';

/** What is another thing in a model with other experts. */
export interface Rewriting {
  readonly experts: number;
  /** Equal runs of experts that a token chooses from first. */
  readonly groups: number;
  /** Factor of the combine weights. */
  readonly scale: number;
  /** Folder of the new model, which names its run. */
  readonly out: string;
  /** The optimizer and its clock start anew, and the schedule with them. */
  readonly isFresh: boolean;
}

/** A name that a topology takes, from a folder's. */
export const topologyName = (path: string): string =>
  basename(path).replaceAll(/[^A-Za-z0-9._-]/gu, '-') || 'model';

const largestDivisor = (a: number, b: number): number => (b === 0 ? a : largestDivisor(b, a % b));

/**
 * The topology of a model with as many experts as are asked for, divided as it was where that is possible: with the largest `parallel.ep` that
 * divides both, and experts that were dealt by hand in equal runs again. Where `ep` changes, placements of experts mean nothing any more, and
 * machines are counted anew.
 *
 * @returns `notes`: what of the division changed
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID when no such model is legal
 */
export function rewrittenTopology(
  topology: ResolvedTopology,
  { experts, groups, scale, out, isFresh }: Rewriting,
): { readonly topology: ResolvedTopology; readonly notes: readonly string[] } {
  const file = topology.portable as FilledTopology;
  const { model, parallel, train } = file;
  const { moe } = model;
  if (moe === null) return { topology, notes: [] };
  const name = topologyName(out);
  const ep = parallel.ep === -1 ? -1 : largestDivisor(parallel.ep, experts);
  const isWritten = experts !== moe.experts && typeof parallel.experts !== 'string';
  const isDivided = ep === parallel.ep && !isWritten;
  const { machines, placement, ...rest } = file;
  const changed = {
    ...rest,
    name,
    model: { ...model, moe: { ...moe, experts, router: { ...moe.router, groups, scale } } },
    parallel: { ...parallel, ep, ...(isWritten ? { experts: 'contiguous' as const } : {}) },
    train: isFresh ? { ...train, scheduleFrom: 0 } : train,
    checkpoint: { ...file.checkpoint, dir: `runs/${name}` },
    ...(isDivided ? { placement, ...(machines === undefined ? {} : { machines }) } : {}),
  };
  return {
    topology: resolveTopology(changed),
    notes: [
      ...(ep === parallel.ep
        ? []
        : [`parallel.ep is ${ep} instead of ${parallel.ep}: it divides ${experts} experts`]),
      ...(isWritten
        ? ['parallel.experts is contiguous: the groups written by hand named other experts']
        : []),
      ...(isDivided || Object.keys(placement).length === 0
        ? []
        : ['placement and machines are left out: the rules placed other groups of experts']),
    ],
  };
}

/** The same for a file that a person goes on with: the tokenizer is the one that the checkpoint carries. */
export function topologyFile({ portable }: ResolvedTopology): object {
  const { data, ...rest } = portable as FilledTopology;
  const { tokenizer: _carried, ...from } = data;
  return { ...rest, data: from };
}
