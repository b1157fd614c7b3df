import { readFileSync } from 'node:fs';
import { assert, type HostFloats, type HostArray } from '@troupe/core';
import { denseBatch, type Batch } from '@troupe/model';
import { defaultRouter, dropless, type ModelConfig } from '@troupe/spec';
import { readTensors } from './safetensors-file.ts';

export type FixtureName = 'mixtral' | 'olmoe' | 'qwen3_moe';

interface Figures {
  readonly loss: number;
  readonly cross_entropy: number;
  readonly aux_loss: number;
}

/** What `expected.json` says; see test/fixtures/README.md. */
export interface ExpectedFigures {
  readonly float64: Figures;
  readonly losses_float64: readonly number[];
  readonly grad_norms_before_clip_float64: readonly number[];
  readonly rows_per_expert: Readonly<Record<string, readonly number[]>>;
  readonly coefficients: { readonly router_aux_loss_coef: number };
}

interface HuggingFaceConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly moe_intermediate_size?: number;
  readonly head_dim?: number | null;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly num_experts_per_tok: number;
  readonly num_local_experts?: number;
  readonly num_experts?: number;
  readonly norm_topk_prob?: boolean;
  readonly rms_norm_eps: number;
  readonly rope_parameters: { readonly rope_theta: number };
}

/** One model that PyTorch and Transformers computed, in our terms. */
export interface ModelFixture {
  readonly config: ModelConfig;
  readonly batch: Batch;
  readonly sequences: number;
  readonly expected: ExpectedFigures;
  /** Tensor of expected.safetensors. */
  tensor(name: string): HostFloats;
  ints(name: string): Int32Array;
  has(name: string): boolean;
  /** Starting weight by our parameter name. */
  weight(parameter: string): HostFloats;
  /** The saved file's name of a parameter. */
  savedName(parameter: string): string;
}

const qkNorms = { mixtral: 'none', olmoe: 'full', qwen3_moe: 'head' } as const;

/** Mixtral's names of the same tensors. */
function mixtralName(parameter: string): string {
  return parameter
    .replace('.mlp.', '.block_sparse_moe.')
    .replace('.gate_proj.', '.w1.')
    .replace('.up_proj.', '.w3.')
    .replace('.down_proj.', '.w2.');
}

function read(file: URL): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function modelConfig(
  source: HuggingFaceConfig,
  seqLen: number,
  auxCoefficient: number,
  qkNorm: ModelConfig['qkNorm'],
): ModelConfig {
  const topK = source.num_experts_per_tok;
  const experts = source.num_local_experts ?? source.num_experts;
  assert(experts !== undefined, 'the fixture names its number of experts');
  return {
    vocab: source.vocab_size,
    layers: source.num_hidden_layers,
    dModel: source.hidden_size,
    heads: source.num_attention_heads,
    kvHeads: source.num_key_value_heads,
    headDim: source.head_dim ?? source.hidden_size / source.num_attention_heads,
    mla: null,
    encoder: null,
    positions: 'rotary',
    relative: { buckets: 32, maxDistance: 128 },
    seqLen,
    norm: { kind: 'rms', eps: source.rms_norm_eps },
    qkNorm,
    rope: { theta: source.rope_parameters.rope_theta },
    tiedHead: false,
    init: { scale: 1, embedding: 1 },
    ffn: { activation: 'swiglu', dFf: source.intermediate_size },
    moe: {
      every: 1,
      firstDense: 0,
      experts,
      topK,
      dExpert: source.moe_intermediate_size ?? source.intermediate_size,
      sharedExperts: 0,
      router: defaultRouter,
      capacity: dropless,
      norm: false,
      renormalise: source.norm_topk_prob ?? true,
      choice: 'learned',
      // Transformers' loss is k at perfect balance, ours 1.
      balance: {
        auxLoss: auxCoefficient * topK,
        zLoss: 0,
        scope: 'global',
        layers: 'pooled',
        bias: 0,
        domain: 1,
      },
    },
  };
}

export function openFixture(name: FixtureName): ModelFixture {
  // The compiled test runs from test/dist/integration.
  const folder = new URL(`../../fixtures/${name}/`, import.meta.url);
  const expected = read(new URL('expected.json', folder)) as ExpectedFigures;
  const source = read(new URL('config.json', folder)) as HuggingFaceConfig;
  const tensors = readTensors(new URL('expected.safetensors', folder));
  const weights = readTensors(new URL('model.safetensors', folder));
  const savedName = (parameter: string): string => (name === 'mixtral' ? mixtralName(parameter) : parameter);
  const find = (from: ReadonlyMap<string, HostArray>, tensor: string): HostArray => {
    const found = from.get(tensor);
    assert(found !== undefined, 'the fixture holds the tensor', { tensor });
    return found;
  };
  const floats = (from: ReadonlyMap<string, HostArray>, tensor: string): HostFloats => {
    const found = find(from, tensor);
    assert(found instanceof Float32Array || found instanceof Float64Array, 'the tensor holds floats', {
      tensor,
    });
    return found;
  };
  const ints = (tensor: string): Int32Array => {
    const found = find(tensors, tensor);
    assert(found instanceof Int32Array, 'the tensor holds integers', { tensor });
    return found;
  };
  const sequences = 2;
  const ids = ints('input_ids');
  const seqLen = ids.length / sequences;
  return {
    config: modelConfig(source, seqLen, expected.coefficients.router_aux_loss_coef, qkNorms[name]),
    batch: denseBatch(ids, seqLen),
    sequences,
    expected,
    tensor: (tensor) => floats(tensors, tensor),
    ints,
    has: (tensor) => tensors.has(tensor),
    weight: (parameter) => floats(weights, savedName(parameter)),
    savedName,
  };
}
