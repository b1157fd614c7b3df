import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { readHuggingFace, type HuggingFaceModel } from '@troupe/checkpoint';
import { assert, type HostFloats } from '@troupe/core';
import type { Floats } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { LocalModel, type Batch } from '@troupe/model';
import type { ModelConfig } from '@troupe/spec';
import { fileStorage } from 'troupe';
import { readTensors } from './safetensors-file.ts';

// The compiled test runs from test/dist/integration.
const folder = new URL('../../fixtures/switch/', import.meta.url);
const [SEQUENCES, SOURCE, TARGET] = [2, 20, 16];

interface Figures {
  readonly float64: Readonly<
    Record<'loss' | 'cross_entropy' | `${'en' | 'de'}coder_${'aux' | 'z'}_loss`, number>
  >;
  readonly coefficients: { readonly router_aux_loss_coef: number; readonly router_z_loss_coef: number };
  readonly rows_per_expert: Readonly<Record<string, readonly number[]>>;
  readonly losses_float64: readonly number[];
}
const expected = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8')) as Figures;
const tensors = readTensors(new URL('expected.safetensors', folder));

function floats(name: string): HostFloats {
  const found = tensors.get(name);
  assert(found instanceof Float32Array || found instanceof Float64Array, 'the fixture has it', { name });
  return found;
}

function ints(name: string): Int32Array {
  const found = tensors.get(name);
  assert(found instanceof Int32Array, 'the fixture has it', { name });
  return found;
}

/**
 * Its batch: padding of the source is hidden from attention, and routed and counted all the same, which is Transformers' habit. So it is valid
 * here, and nobody sees it.
 */
function fixtureBatch(): Batch {
  const ends = Array.from({ length: SEQUENCES }, (_, sequence) =>
    ints('attention_mask')
      .subarray(sequence * SOURCE, (sequence + 1) * SOURCE)
      .reduce((sum, each) => sum + each, 0),
  );
  const endOf = (length: number): Int32Array =>
    Int32Array.from({ length: SEQUENCES * length }, (_, row) => ends[Math.floor(row / length)] ?? 0);
  return {
    ids_T: ints('decoder_input_ids'),
    targets_T: ints('labels').map((label) => (label === -100 ? -1 : label)),
    firstSeen_T: new Int32Array(SEQUENCES * TARGET),
    valid_T: new Uint8Array(SEQUENCES * TARGET).fill(1),
    source: {
      ids_T: ints('input_ids'),
      firstSeen_T: new Int32Array(SEQUENCES * SOURCE),
      endSeen_T: endOf(SOURCE),
      valid_T: new Uint8Array(SEQUENCES * SOURCE).fill(1),
      crossFirst_T: new Int32Array(SEQUENCES * TARGET),
      crossEnd_T: endOf(TARGET),
    },
  };
}

async function openModel(): Promise<{ readonly read: HuggingFaceModel; readonly model: LocalModel }> {
  const storage = fileStorage(fileURLToPath(new URL('..', folder)));
  const read = await readHuggingFace(storage, 'switch', { seqLen: SOURCE });
  const config: ModelConfig = { ...read.config, seqLen: TARGET };
  const device = openReferenceDevice({ dtype: 'f64' });
  const model = new LocalModel(device, { config, sequences: SEQUENCES, grains: SEQUENCES });
  for (const { name } of read.parameters) device.write(model.weights.parameter(name), await read.read(name));
  return { read, model };
}

/** Largest difference, as a share of the largest expected value. */
function difference(found: HostFloats, wanted: HostFloats): number {
  if (found.length !== wanted.length) return Number.POSITIVE_INFINITY;
  const largest = (of: (index: number) => number): number =>
    Array.from(wanted, (_, index) => Math.abs(of(index))).reduce((most, each) => Math.max(most, each), 0);
  return (
    largest((index) => (found[index] ?? Number.NaN) - (wanted[index] ?? 0)) /
    largest((index) => wanted[index] ?? 0)
  );
}

/** Of the last training pass. `LocalModel.logits` is for generation, which drops nothing. */
function logitsOf(model: LocalModel): HostFloats {
  const { vocab, dModel } = model.config;
  const { finalNormed_TD } = model.trainingActivations;
  assert(finalNormed_TD !== null, 'a whole model has a head');
  const hidden = Float64Array.from(model.device.read(finalNormed_TD as Floats));
  const table = model.device.read(model.weights.parameter('model.embed_tokens.weight'));
  return Float64Array.from({ length: SEQUENCES * TARGET * vocab }, (_, at) => {
    const [row, id] = [Math.floor(at / vocab) * dModel, (at % vocab) * dModel];
    return hidden
      .subarray(row, row + dModel)
      .reduce((sum, each, index) => sum + each * (table[id + index] ?? Number.NaN), 0);
  });
}

const relative = (found: number, wanted: number): number => Math.abs(found - wanted) / Math.abs(wanted);

function close(t: ExecutionContext, what: string, found: number, tolerance: number): void {
  t.true(found <= tolerance, `${what} differs by ${found}, at most ${tolerance}`);
}

const STACKS = [
  ['encoder', 0],
  ['decoder', 2],
] as const;

test('switch: logits, losses, routing and hidden states are those of PyTorch', async (t) => {
  const { model } = await openModel();
  const batch = fixtureBatch();
  const { loss, auxLoss, zLoss, total } = await model.lossAndGradients(batch);
  const { float64, coefficients } = expected;
  const aux = coefficients.router_aux_loss_coef * (float64.encoder_aux_loss + float64.decoder_aux_loss);
  const z = coefficients.router_z_loss_coef * (float64.encoder_z_loss + float64.decoder_z_loss);
  close(t, 'cross entropy', relative(loss, float64.cross_entropy), 1e-9);
  close(t, 'balance loss', relative(auxLoss, aux), 1e-9);
  close(t, 'z-loss', relative(zLoss, z), 1e-9);
  close(t, 'loss', relative(total, float64.loss), 1e-9);
  close(t, 'logits', difference(logitsOf(model), floats('logits_f64')), 1e-9);
  t.log(`loss ${relative(total, float64.loss).toExponential(1)}`);
  const { encoder, decoder } = model.trainingStreams;
  for (const [stack, first] of STACKS) {
    const act = stack === 'encoder' ? encoder : decoder;
    assert(act !== null, 'a Switch Transformer has both');
    const moe = act.moe(first + 1);
    t.deepEqual(model.device.read(moe.kept_TK), ints(`router_index.${stack}.block.1`));
    const logits = model.device.read(moe.logits_TE);
    close(t, `${stack}: router`, difference(logits, floats(`router_logits.${stack}.block.1`)), 2e-6);
    for (const block of [0, 1]) {
      const hidden = model.device.read(act.hidden(first + block + 1));
      close(
        t,
        `${stack}: hidden ${block}`,
        difference(hidden, floats(`hidden.${stack}.block.${block}`)),
        2e-6,
      );
    }
  }
});

/** Name of a parameter in the fixture, by what each part is called there. */
function savedName(name: string): string {
  const [, layer = '', rest = ''] = /^model\.layers\.(\d)\.(.+)$/u.exec(name) ?? [];
  const [stack, first] = STACKS[Number(layer) < 2 ? 0 : 1];
  const ffn = stack === 'encoder' ? 1 : 2;
  const whole: Readonly<Record<string, string>> = {
    'model.embed_tokens.weight': 'shared.weight',
    'model.norm.weight': 'decoder.final_layer_norm.weight',
    'model.encoder_norm.weight': 'encoder.final_layer_norm.weight',
  };
  if (name.includes('relative_attention_bias'))
    return name.replace('model.', '').replace('.rel', '.block.0.layer.0.SelfAttention.rel');
  if (layer === '') return whole[name] ?? name;
  const inBlock = rest
    .replace('input_layernorm', '0.layer_norm')
    .replace('cross_attn_layernorm', '1.layer_norm')
    .replace('post_attention_layernorm', `${ffn}.layer_norm`)
    .replace(/self_attn\.(.)_proj/u, '0.SelfAttention.$1')
    .replace(/cross_attn\.(.)_proj/u, '1.EncDecAttention.$1')
    .replace(/^mlp\./u, `${ffn}.mlp.`)
    .replace('.gate.', '.router.classifier.')
    .replace('experts.', 'experts.expert_')
    .replace('up_proj', 'wi')
    .replace('down_proj', 'wo');
  return `${stack}.block.${Number(layer) - first}.layer.${inBlock}`;
}

test('switch: every gradient is that of PyTorch', async (t) => {
  const { read, model } = await openModel();
  const { gradients } = await model.lossAndGradients(fixtureBatch());
  let largest = 0;
  for (const { name } of read.parameters) {
    // Our last norm has d_model^-0.5 in its weights, so a step of these counts for as many more.
    const scale = name === 'model.norm.weight' ? 1 / Math.sqrt(model.config.dModel) : 1;
    const found = model.device.read(gradients.parameter(name)).map((each) => each * scale);
    const apart = difference(found, floats(`grad.${savedName(name)}`));
    close(t, name, apart, 5e-6);
    largest = Math.max(largest, apart);
  }
  t.log(`${read.parameters.length} gradients, largest difference ${largest.toExponential(1)}`);
});
