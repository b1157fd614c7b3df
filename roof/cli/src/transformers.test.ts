import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { configFromHuggingFace, huggingFaceKinds } from '@troupe/checkpoint';
import { loadDevice, openRun, TrainedModel } from 'troupe';
import { jsonLines, runCli } from './testing/cli-process.ts';
import { transformersOf } from './testing/transformers.ts';
import { workplace } from './testing/workplace.ts';

const fixtures = new URL('../../../test/fixtures/', import.meta.url);

/** Loads a folder as anybody would, and says what came of it. */
const readFolder = `
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer
folder = given["folder"]
model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
ids = torch.tensor([given["ids"]])
with torch.no_grad():
    logits = model(ids).logits[0, :-1].double()
    loss = torch.nn.functional.cross_entropy(logits, ids[0, 1:]).item()
    out = model.generate(torch.tensor([given["prompt"]]), do_sample=False, max_new_tokens=12)[0].tolist()
tokenizer = AutoTokenizer.from_pretrained(folder)
plain = Tokenizer.from_file(folder + "/tokenizer.json")
print(json.dumps({
    "architecture": type(model).__name__,
    "surprises": sorted(str(key) for each in info.values() for key in each),
    "loss": loss,
    "generated": out[len(given["prompt"]):],
    "sameTokenizer": json.loads(tokenizer.backend_tokenizer.to_str()) == json.loads(plain.to_str()),
    "ids": [tokenizer(text)["input_ids"] for text in given["texts"]],
    "plainIds": [plain.encode(text).ids for text in given["texts"]],
    "ends": [[each.bos_token_id, each.eos_token_id, each.pad_token_id] for each in (tokenizer, model.config, model.generation_config)],
}))
`;

interface FolderReading {
  readonly architecture: string;
  readonly surprises: readonly string[];
  readonly loss: number;
  readonly generated: readonly number[];
  readonly sameTokenizer: boolean;
  readonly ids: readonly (readonly number[])[];
  readonly plainIds: readonly (readonly number[])[];
  readonly ends: readonly (readonly (number | null)[])[];
}

const seqLen = 32;
/** Ids of a sequence that no run has seen. */
const ids = Int32Array.from({ length: seqLen }, (_, i) => (i * i * 31 + 7 * i) % 256);

/** What our own model makes of the same ids. */
async function ownLoss(folder: string): Promise<number> {
  const run = await openRun(folder);
  const device = await loadDevice({ body: 'auto', threads: 1 });
  try {
    const model = await TrainedModel.load(device, run);
    const evalBatch = (_: number, sequences: number) => {
      const spread = (first: ArrayLike<number>): number[] => [
        ...Array.from(first),
        ...Array<number>((sequences - 1) * seqLen).fill(0),
      ];
      const targets = [...ids.slice(1), -1, ...Array<number>((sequences - 1) * seqLen).fill(-1)];
      return {
        sequences,
        ids_T: Int32Array.from(spread(ids)),
        targets_T: Int32Array.from(targets),
        firstSeen_T: new Int32Array(sequences * seqLen),
        valid_T: Uint8Array.from(targets, (target) => (target < 0 ? 0 : 1)),
      };
    };
    const source = {
      vocabSize: 257,
      seqLen,
      batch: 1,
      numTrainWindows: 0,
      numEvalSequences: 1,
      numEvalTargets: seqLen - 1,
      trainBatch: () => evalBatch(0, 1),
      evalBatch,
      validTargets: () => seqLen - 1,
    };
    return (await model.evaluate(source, 1)).loss;
  } finally {
    await device.close();
    await run.checkpoint.close();
  }
}

test.serial(
  'launch, export, import, generate, launch --from, export: one path, and Transformers reads its end',
  async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    const run = async (...args: readonly string[]): Promise<readonly Record<string, unknown>[]> => {
      const { code, stdout, stderr } = await runCli([...args, '--json'], at);
      t.is(code, 0, `${args.join(' ')}: ${stderr}${stdout}`);
      return jsonLines(stdout);
    };
    await run('launch', 'small.yaml', '--run-dir', 'first', '--stop-after', '4');
    await run('export', 'first', '--out', 'hf/first', '--as', 'mixtral');
    await run('import', 'hf/first', '--out', 'model');
    const sample = ['--prompt', 'The gate', '--temperature', '0', '--max-tokens', '12'];
    const [before] = await run('generate', 'first', ...sample);
    const [after] = await run('generate', 'model', ...sample);
    t.deepEqual(after?.['ids'], before?.['ids'], 'the same weights and tokenizer write the same text');
    t.is(await ownLoss(path('model')), await ownLoss(path('first')));
    const still = ['--set', 'train.optimizer.lr=1e-9', '--set', 'train.optimizer.weightDecay=0'];
    const more = ['--set', 'data.text=text.txt', '--set', 'train.batch=4', '--stop-after', '2'];
    await run('launch', 'model/topology.yaml', '--from', 'model', '--run-dir', 'second', ...still, ...more);
    await run(
      'export',
      'second',
      '--out',
      'hf/second',
      '--as',
      'mixtral',
      '--layout',
      'fused',
      '--file-mib',
      '1',
    );
    t.true(
      Math.abs((await ownLoss(path('second'))) - (await ownLoss(path('first')))) < 1e-5,
      'it began with them',
    );

    const transformers = transformersOf(t);
    if (transformers === null) return;
    const texts = ['The gate waits.', '  two  spaces ', 'ΟΔΟΣ é 1234567', 'one<|endoftext|>two', '\n\ttab'];
    const prompt = [...new TextEncoder().encode('The gate')];
    for (const [name, own] of [
      ['hf/first', 'first'],
      ['hf/second', 'second'],
    ] as const) {
      const read = transformers.run(readFolder, {
        folder: path(name),
        ids: [...ids],
        prompt,
        texts,
      }) as FolderReading;
      const loss = await ownLoss(path(own));
      t.log(`${name}: loss ${read.loss}, ours ${loss}`);
      t.like(read, { architecture: 'MixtralForCausalLM', surprises: [], sameTokenizer: true });
      t.true(Math.abs(read.loss / loss - 1) < 1e-5, `${read.loss} and ${loss}`);
      t.deepEqual(read.ids, read.plainIds);
      t.deepEqual(read.ends, [
        [null, 256, null],
        [null, 256, null],
        [null, 256, null],
      ]);
      if (own === 'first') t.deepEqual(read.generated, before?.['ids']);
    }
  },
);

/** Saves small models of the three classes, in pieces and in half precision. */
const saveFolders = `
import torch
from transformers import AutoConfig, AutoModelForCausalLM
torch.manual_seed(5)
sizes = dict(vocab_size=96, hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, num_experts_per_tok=2, max_position_embeddings=40, initializer_range=0.4)
own = dict(mixtral=dict(num_local_experts=4, head_dim=16), olmoe=dict(num_experts=6),
    qwen3_moe=dict(num_experts=5, moe_intermediate_size=12, head_dim=6, decoder_sparse_step=2))
for kind, more in own.items():
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes, **more)).to(torch.bfloat16)
    model.save_pretrained(given["folder"] + "/" + kind, max_shard_size="20KB")
print("null")
`;

const compareFolders = `
import torch
from transformers import AutoModelForCausalLM
found = {}
for kind in given["kinds"]:
    read = lambda name: AutoModelForCausalLM.from_pretrained(given["folder"] + "/" + name, dtype=torch.float32)
    a, b = read(kind).state_dict(), read("back/" + kind).state_dict()
    found[kind] = sorted(a) == sorted(b) and all(torch.equal(a[key], b[key]) for key in a)
print(json.dumps(found))
`;

test.serial(
  'import, export: what Transformers saved in pieces and in BF16 comes back to it, weight by weight',
  async (t) => {
    const transformers = transformersOf(t);
    if (transformers === null) return;
    const { folder, path } = workplace(t);
    transformers.run(saveFolders, { folder });
    for (const kind of huggingFaceKinds) {
      t.true(readdirSync(path(kind)).includes('model.safetensors.index.json'), kind);
      for (const args of [
        ['import', kind, '--out', `models/${kind}`],
        ['export', `models/${kind}`, '--out', `back/${kind}`],
      ]) {
        const { code, stderr } = await runCli(args, { cwd: folder });
        t.is(code, 0, stderr);
      }
    }
    t.deepEqual(transformers.run(compareFolders, { folder, kinds: huggingFaceKinds }), {
      mixtral: true,
      olmoe: true,
      qwen3_moe: true,
    });
  },
);

/** What the library makes of each config.json. */
const readConfigs = `
import os, tempfile
from transformers import AutoConfig
found = []
for config in given:
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/config.json", "w") as file: json.dump(config, file)
        read = AutoConfig.from_pretrained(folder)
        found.append({**read.to_dict(), "num_experts": read.num_experts, "rope_theta": read.rope_parameters["rope_theta"]})
print(json.dumps(found))
`;

test.serial('configFromHuggingFace: this Transformers gives absent keys the same values', (t) => {
  const transformers = transformersOf(t);
  if (transformers === null) return;
  const written = huggingFaceKinds.flatMap((kind) => [
    { model_type: kind },
    { model_type: kind, rope_theta: 5 },
    { model_type: kind, rope_scaling: { type: 'default' }, rope_parameters: { rope_theta: 3 } },
    {
      model_type: kind,
      hidden_size: 64,
      num_attention_heads: 8,
      num_key_value_heads: 2,
      num_local_experts: 12,
    },
  ]);
  const found = transformers.run(readConfigs, written) as readonly Record<string, unknown>[];
  for (const [index, json] of written.entries()) {
    const { config } = configFromHuggingFace('c', json);
    const theirs = found[index] ?? {};
    t.deepEqual(
      {
        ...config,
        coefficient: (config.moe?.balance.auxLoss ?? 0) / (config.moe?.topK ?? 1),
      },
      {
        ...config,
        vocab: theirs['vocab_size'],
        layers: theirs['num_hidden_layers'],
        dModel: theirs['hidden_size'],
        heads: theirs['num_attention_heads'],
        kvHeads: theirs['num_key_value_heads'],
        seqLen: theirs['max_position_embeddings'],
        norm: { kind: 'rms', eps: theirs['rms_norm_eps'] },
        rope: { theta: theirs['rope_theta'] },
        tiedHead: theirs['tie_word_embeddings'],
        init: { scale: 1, embedding: theirs['initializer_range'] },
        ffn: { activation: 'swiglu', dFf: theirs['intermediate_size'] },
        moe: { ...config.moe, experts: theirs['num_experts'], topK: theirs['num_experts_per_tok'] },
        coefficient: theirs['router_aux_loss_coef'],
      } as unknown,
      JSON.stringify(json),
    );
  }
});

/** Whether the library reads a file with each of the headers. */
const readHeaders = `
import struct
from safetensors import deserialize
def reads(row):
    header = row["header"].encode("utf-8")
    try: deserialize(struct.pack("<Q", len(header)) + header + bytes(row["dataBytes"]))
    except Exception: return "refused"
    return "read"
print(json.dumps([reads(row) for row in given]))
`;

test.serial('safetensors_headers.json: this safetensors reads and refuses the same headers', (t) => {
  const transformers = transformersOf(t);
  if (transformers === null) return;
  const rows = JSON.parse(readFileSync(new URL('safetensors_headers.json', fixtures), 'utf8')) as readonly {
    readonly library: string;
  }[];
  t.deepEqual(
    transformers.run(readHeaders, rows),
    rows.map(({ library }) => library),
  );
});
