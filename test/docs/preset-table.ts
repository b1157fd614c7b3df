import { parameterCounts } from '@troupe/spec';
import { loadTopology, presetNames, refuseUnbuilt } from '@troupe/topology';

const rounded = (count: number): string =>
  count >= 1e9 ? `${Number((count / 1e9).toPrecision(3))} B` : `${Number((count / 1e6).toPrecision(3))} M`;

/** `model.mla` of a problem, as people read it. */
const code = (key: string): string => `\`${key}\``;

function rowOf(preset: string): string {
  const topology = loadTopology(preset);
  const { total, active, lookup } = parameterCounts(topology.model);
  const { layers, dModel, moe } = topology.model;
  // Of all machines and devices once.
  const keys = refuseUnbuilt(topology).map(({ key }) => key.replace('model.', '').replace(/\.\d+/g, ''));
  const refused = [...new Set(keys)].map(code);
  const experts = moe === null ? 'none' : `${moe.topK} of ${moe.experts}, ${moe.dExpert} wide`;
  const cells = [code(preset), `${layers} × ${dModel}`, experts, rounded(total), rounded(active)];
  return `| ${[...cells, rounded(active - lookup), refused.join(', ') || 'nothing'].join(' | ')} |`;
}

/** Every preset, and what follows from its model. */
export const presetTable = (): string =>
  [
    '| preset | layers × width | experts of a token | parameters | active a token | without the embedding’s table | `launch` refuses |',
    '|---|---|---|---|---|---|---|',
    ...presetNames().map(rowOf),
  ].join('\n');
