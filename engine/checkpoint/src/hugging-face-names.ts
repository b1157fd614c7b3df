import { denseUnits, expertUnits, moeLayers, type ModelConfig, type Parameter } from '@troupe/spec';
import type { ReadableKind } from './hugging-face-class.ts';
import { switchKind, switchSource } from './hugging-face-switch.ts';

/** `fused`: all experts of a layer in `mlp.experts.gate_up_proj` [E, 2F, D] (gate rows, then up rows) and `down_proj` [E, D, F]. */
export type ExpertLayout = 'per-expert' | 'fused';

/** A tensor of a Hugging Face file, and where in it a parameter of ours lies. */
export interface HuggingFaceSource {
  readonly key: string;
  readonly shape: readonly number[];
  /** First element of the parameter inside the tensor. */
  readonly elementOffset: number;
  readonly layout: ExpertLayout;
  /** The parameter is the tensor's elements times this; absent: 1. */
  readonly scale?: number;
}

/** All parameters of a model, in forward order with a layer's experts after the rest of it. */
export function modelParameters(config: ModelConfig): readonly Parameter[] {
  const experts = moeLayers(config).flatMap((layer) => expertUnits(config, layer));
  return [...denseUnits(config), ...experts].flatMap((unit) => unit.parameters);
}

const mixtralMatrix: Readonly<Record<string, string>> = { gate_proj: 'w1', up_proj: 'w3', down_proj: 'w2' };

/** Layer, expert and matrix of an expert's weight, or null. */
function expertPlace(name: string) {
  const match = /^(model\.layers\.\d+)\.mlp\.experts\.(\d+)\.(\w+)\.weight$/u.exec(name);
  const [, prefix, expert, matrix] = match ?? [];
  if (prefix === undefined || expert === undefined || matrix === undefined) return null;
  return { prefix, expert: Number(expert), matrix };
}

/** The name in Mixtral's files: `block_sparse_moe`, w1 (gate), w3 (up), w2 (down). */
export function mixtralName(name: string): string {
  const place = expertPlace(name);
  if (place === null) return name.replace(/\.mlp\.gate\.weight$/u, '.block_sparse_moe.gate.weight');
  return `${place.prefix}.block_sparse_moe.experts.${place.expert}.${mixtralMatrix[place.matrix]}.weight`;
}

/** Where a parameter lies when a layer's experts share two tensors; null for what is no expert's. */
export function fusedSource(config: ModelConfig, name: string): HuggingFaceSource | null {
  const place = expertPlace(name);
  if (place === null || config.moe === null) return null;
  const { experts, dExpert } = config.moe;
  const size = dExpert * config.dModel;
  const prefix = `${place.prefix}.mlp.experts`;
  if (place.matrix === 'down_proj') {
    const shape = [experts, config.dModel, dExpert];
    return { key: `${prefix}.down_proj`, shape, elementOffset: place.expert * size, layout: 'fused' };
  }
  const half = place.matrix === 'up_proj' ? size : 0;
  const shape = [experts, 2 * dExpert, config.dModel];
  return {
    key: `${prefix}.gate_up_proj`,
    shape,
    elementOffset: place.expert * 2 * size + half,
    layout: 'fused',
  };
}

/** Every place where a Hugging Face folder may keep a parameter; exactly one of them has to be there. */
export function possibleSources(
  kind: ReadableKind,
  config: ModelConfig,
  parameter: Parameter,
): readonly HuggingFaceSource[] {
  const { name, shape } = parameter;
  if (kind === switchKind)
    return [{ ...switchSource(config, name), shape, elementOffset: 0, layout: 'per-expert' }];
  const keys = new Set([name, mixtralName(name)]);
  const own = [...keys].map((key): HuggingFaceSource => ({
    key,
    shape,
    elementOffset: 0,
    layout: 'per-expert',
  }));
  const fused = fusedSource(config, name);
  return fused === null
    ? own
    : [...own, fused, { ...fused, key: fused.key.replace('.mlp.', '.block_sparse_moe.') }];
}
