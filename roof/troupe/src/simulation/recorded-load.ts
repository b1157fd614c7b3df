import { OptionError } from '@troupe/core';
import type { Turn } from '@troupe/runtime';
import { moeLayers } from '@troupe/spec';
import { balancedExperts, expertGroupId, ExpertSeats, Layout, type ResolvedTopology } from '@troupe/topology';

/** Rows that every expert got, counted in a run: by layer with experts, then by expert. */
export interface RecordedLoad {
  readonly counts: readonly (readonly number[])[];
}

/** Counts the rows that experts are sent in training. */
export class LoadRecorder {
  #seats: ExpertSeats;
  readonly #counts: ReadonlyMap<number, number[]>;

  constructor(topology: ResolvedTopology) {
    const { model } = topology;
    this.#seats = new ExpertSeats(new Layout(topology));
    this.#counts = new Map(
      moeLayers(model).map((layer) => [layer, Array<number>(model.moe?.experts ?? 0).fill(0)]),
    );
  }

  see({ address, event: { type, body, tensors }, outcome }: Turn): void {
    const groups_LE = tensors['groups_LE'];
    if (type === 'attempt.abandon' && groups_LE instanceof Int32Array && !this.#seats.equals(groups_LE))
      this.#seats = new ExpertSeats(this.#seats.layout, groups_LE.slice());
    if (type !== 'rows.dispatch' || body['mode'] !== 'train' || outcome !== 'handled') return;
    const match = /^expert\/L(\d+)\/ep(\d+)\//.exec(address);
    const counts_EG = tensors['counts_EG'];
    if (match === null || !(counts_EG instanceof Int32Array)) return;
    const layer = Number(match[1]);
    const rows_E = this.#counts.get(layer);
    const experts = this.#seats.expertsOf(layer, Number(match[2]));
    const grains = counts_EG.length / experts.length;
    experts.forEach((expert, index) => {
      if (rows_E === undefined) return;
      const rows = counts_EG.subarray(index * grains, (index + 1) * grains);
      rows_E[expert] = (rows_E[expert] ?? 0) + rows.reduce((sum, each) => sum + each, 0);
    });
  }

  get load(): RecordedLoad {
    return { counts: [...this.#counts.values()] };
  }
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

/** Whether a value is a load of some model: a list of counts for each layer, equally long. */
export function isRecordedLoad(value: unknown): value is RecordedLoad {
  const counts: unknown = (value as Partial<RecordedLoad> | null)?.counts;
  if (!Array.isArray(counts) || counts.length === 0) return false;
  const lists = counts as readonly unknown[];
  return lists.every(
    (list) =>
      Array.isArray(list) &&
      list.length > 0 &&
      list.length === (lists[0] as readonly unknown[]).length &&
      list.every(isCount),
  );
}

/**
 * The share of every expert in the rows of a layer, the mean over the layers: a device without arithmetic routes all layers alike.
 *
 * @throws {OptionError} TROUPE_OPTION when it was recorded of another number of experts, or counts nothing
 */
export function meanLoad({ counts }: RecordedLoad, { model }: ResolvedTopology): readonly number[] {
  const experts = model.moe?.experts ?? 0;
  const found = counts[0]?.length ?? 0;
  if (found !== experts)
    throw new OptionError('openSimulator', [
      `load counts the rows of ${found} experts, and the model has ${experts} in a layer`,
    ]);
  const shares = Array<number>(experts).fill(0);
  for (const rows_E of counts) {
    const all = rows_E.reduce((sum, each) => sum + each, 0);
    if (all > 0) rows_E.forEach((rows, expert) => (shares[expert]! += rows / all / counts.length));
  }
  if (shares.every((share) => share === 0))
    throw new OptionError('openSimulator', ['load counts no row at all']);
  return shares;
}

/** Devices without arithmetic count no rows: balanced experts lie from the start where a dealing by this load puts them. */
export function dealtBy(load_E: readonly number[], topology: ResolvedTopology): ResolvedTopology {
  const { parallel } = topology;
  if (parallel.experts !== 'balanced') return topology;
  const map = balancedExperts(load_E, parallel.ep);
  const experts = Array.from({ length: parallel.ep }, (_, group) => [...map.expertsOf(expertGroupId(group))]);
  return { ...topology, parallel: { ...parallel, experts } };
}
