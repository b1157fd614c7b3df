import { assert } from '@troupe/core';
import { hiddenInputs, NORM_BLOCK } from '@troupe/kernel-set';
import { blockOf, blocksOf, qkvWidths, type Block } from './blocks.ts';
import type { ExpertParameter, ModelConfig, ParameterInit } from './model-config.ts';

export type ParameterClass = 'dense' | 'expert';

/** One tensor by its global name: the unit that checkpoints, hashes and people speak of. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly size: number;
  /** First element inside its unit. */
  readonly offset: number;
  readonly init: ParameterInit;
}

/**
 * Parameters that lie side by side without gaps (query, key and value of a layer; one expert), so that kernels may
 * read them as one matrix. A unit is padded to a multiple of NORM_BLOCK, which makes every slice boundary and
 * every leaf of the squared norm independent of the layout.
 */
export interface Unit {
  /** `embed`, `L0/qkv`, `L3/expert7`. */
  readonly id: string;
  readonly class: ParameterClass;
  readonly layer: number | null;
  /** Global index of the expert; null for dense units. */
  readonly expert: number | null;
  readonly parameters: readonly Parameter[];
  readonly size: number;
  readonly paddedSize: number;
}

function unit(
  id: string,
  place: { readonly layer: number | null; readonly expert?: number },
  parts: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly init: ParameterInit;
  }[],
): Unit {
  let offset = 0;
  const parameters = parts.map((part) => {
    const size = part.shape.reduce((a, b) => a * b, 1);
    const parameter = { ...part, size, offset };
    offset += size;
    return parameter;
  });
  return {
    id,
    class: place.expert === undefined ? 'dense' : 'expert',
    layer: place.layer,
    expert: place.expert ?? null,
    parameters,
    size: offset,
    paddedSize: Math.ceil(offset / NORM_BLOCK) * NORM_BLOCK,
  };
}

const one: ParameterInit = { kind: 'constant', value: 1 };
const zero: ParameterInit = { kind: 'constant', value: 0 };

function matrixInit(config: ModelConfig, fanIn: number): ParameterInit {
  return { kind: 'truncated-normal', std: Math.sqrt(config.init.scale / fanIn) };
}

function normUnit(config: ModelConfig, id: string, name: string, layer: number | null): Unit {
  const weight = { name: `${name}.weight`, shape: [config.dModel], init: one };
  const bias = { name: `${name}.bias`, shape: [config.dModel], init: zero };
  return unit(id, { layer }, config.norm.kind === 'layer' ? [weight, bias] : [weight]);
}

/** gate (gated activations), up and down of one FFN; fan_in of `down` is dFf whatever the granularity (arXiv:2402.07871 §A). */
function ffnParts(config: ModelConfig, prefix: string, hidden: number, downFanIn: number) {
  const inputs = [
    {
      name: `${prefix}.gate_proj.weight`,
      shape: [hidden, config.dModel],
      init: matrixInit(config, config.dModel),
    },
    {
      name: `${prefix}.up_proj.weight`,
      shape: [hidden, config.dModel],
      init: matrixInit(config, config.dModel),
    },
  ];
  const down = {
    name: `${prefix}.down_proj.weight`,
    shape: [config.dModel, hidden],
    init: matrixInit(config, downFanIn),
  };
  return [...(hiddenInputs(config.ffn.activation) === 2 ? inputs : inputs.slice(1)), down];
}

function ownPart(config: ModelConfig, prefix: string, { name, shape, init }: ExpertParameter) {
  const fanIn = shape.length > 1 ? shape.at(-1) : undefined;
  return {
    name: `${prefix}.${name}`,
    shape,
    init: init ?? (fanIn === undefined ? zero : matrixInit(config, fanIn)),
  };
}

/** The unit of one expert of one layer. */
export function expertUnit(config: ModelConfig, layer: number, expert: number): Unit {
  const { ffn } = blockOf(config, layer);
  assert(ffn.kind === 'moe', 'only blocks with experts have expert units', { layer });
  const prefix = `model.layers.${layer}.mlp.experts.${expert}`;
  const own = ffn.moe.expertParameters?.map((parameter) => ownPart(config, prefix, parameter));
  return unit(
    `L${layer}/expert${expert}`,
    { layer, expert },
    own ?? ffnParts(config, prefix, ffn.hidden, config.ffn.dFf),
  );
}

/** Everything of one block that is not a routed expert, in forward order. */
export const layerUnits = (config: ModelConfig, layer: number): readonly Unit[] =>
  blockUnits(config, blockOf(config, layer));

function blockUnits(config: ModelConfig, { index: layer, mixer, ffn }: Block): readonly Unit[] {
  const prefix = `model.layers.${layer}`;
  const d = config.dModel;
  const widths = qkvWidths(mixer);
  const units = [
    normUnit(config, `L${layer}/norm1`, `${prefix}.input_layernorm`, layer),
    unit(
      `L${layer}/qkv`,
      { layer },
      (['q', 'k', 'v'] as const).map((part) => ({
        name: `${prefix}.self_attn.${part}_proj.weight`,
        shape: [widths[part], d],
        init: matrixInit(config, d),
      })),
    ),
  ];
  if (mixer.qkNorm !== 'none') {
    const [qDim, kDim] = mixer.qkNorm === 'head' ? [mixer.headDim, mixer.headDim] : [widths.q, widths.k];
    units.push(
      unit(`L${layer}/q-norm`, { layer }, [
        { name: `${prefix}.self_attn.q_norm.weight`, shape: [qDim], init: one },
      ]),
    );
    units.push(
      unit(`L${layer}/k-norm`, { layer }, [
        { name: `${prefix}.self_attn.k_norm.weight`, shape: [kDim], init: one },
      ]),
    );
  }
  units.push(
    unit(`L${layer}/out`, { layer }, [
      { name: `${prefix}.self_attn.o_proj.weight`, shape: [d, widths.q], init: matrixInit(config, widths.q) },
    ]),
    normUnit(config, `L${layer}/norm2`, `${prefix}.post_attention_layernorm`, layer),
  );
  if (ffn.kind === 'moe') {
    units.push(
      unit(`L${layer}/gate`, { layer }, [
        { name: `${prefix}.mlp.gate.weight`, shape: [ffn.moe.experts, d], init: matrixInit(config, d) },
      ]),
    );
    if (ffn.sharedHidden > 0) {
      units.push(
        unit(
          `L${layer}/shared`,
          { layer },
          ffnParts(config, `${prefix}.mlp.shared_experts`, ffn.sharedHidden, config.ffn.dFf),
        ),
      );
    }
  } else {
    units.push(unit(`L${layer}/ffn`, { layer }, ffnParts(config, `${prefix}.mlp`, ffn.hidden, ffn.hidden)));
  }
  return units;
}

/** All units that are not routed experts, in forward order: embedding, layers, last norm, head (unless tied). */
export function denseUnits(config: ModelConfig): readonly Unit[] {
  const d = config.dModel;
  const table = (id: string, name: string, init: ParameterInit): Unit =>
    unit(id, { layer: null }, [{ name, shape: [config.vocab, d], init }]);
  const embed = table('embed', 'model.embed_tokens.weight', { kind: 'normal', std: config.init.embedding });
  const layers = blocksOf(config).flatMap((block) => blockUnits(config, block));
  const tail = [normUnit(config, 'norm', 'model.norm', null)];
  if (!config.tiedHead) tail.push(table('head', 'lm_head.weight', matrixInit(config, d)));
  return [embed, ...layers, ...tail];
}

/** All expert units of one layer, in the order of their global index. */
export function expertUnits(config: ModelConfig, layer: number): readonly Unit[] {
  return Array.from({ length: config.moe?.experts ?? 0 }, (_, expert) => expertUnit(config, layer, expert));
}

/** Units laid side by side in one buffer. */
export interface FlatLayout {
  readonly units: readonly Unit[];
  /** First element of each unit. */
  readonly starts: readonly number[];
  /** Elements in all, padding included. */
  readonly length: number;
}

export function flatLayout(units: readonly Unit[]): FlatLayout {
  let length = 0;
  const starts = units.map((each) => {
    const start = length;
    length += each.paddedSize;
    return start;
  });
  return { units, starts, length };
}

/**
 * Cuts a flat buffer of `length` elements into `parts` contiguous slices at multiples of NORM_BLOCK, as even as that allows.
 *
 * @returns `parts` + 1 bounds, the first 0, the last `length`
 */
export function sliceBounds(length: number, parts: number): readonly number[] {
  assert(length % NORM_BLOCK === 0, 'flat layouts are padded to NORM_BLOCK', { length });
  const blocks = length / NORM_BLOCK;
  return Array.from({ length: parts + 1 }, (_, part) => Math.floor((blocks * part) / parts) * NORM_BLOCK);
}
