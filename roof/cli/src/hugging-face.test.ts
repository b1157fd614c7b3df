import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { readHuggingFace, type HuggingFaceModel } from '@troupe/checkpoint';
import { fileStorage } from 'troupe';
import { runCliHere } from './testing/cli-here.ts';
import { jsonLines, runCli } from './testing/cli-process.ts';
import { workplace } from './testing/workplace.ts';

const fixtures = new URL('../../../test/fixtures/', import.meta.url);

/** A folder with one of the tiny models that Transformers saved. */
function huggingFaceFolder(folder: string, kind: string): void {
  mkdirSync(folder);
  for (const name of ['config.json', 'model.safetensors'])
    cpSync(new URL(`${kind}/${name}`, fixtures), `${folder}/${name}`);
}

const opened = (folder: string, name: string): Promise<HuggingFaceModel> =>
  readHuggingFace(fileStorage(folder), name);

const changeJson = (path: string, change: object): void =>
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...change }));

for (const [kind, as] of [
  ['mixtral', 'mixtral'],
  ['olmoe', 'olmoe'],
  ['qwen3_moe', 'qwen3-moe'],
] as const) {
  test(`import, export: ${as}: the weights of a folder come back bit for bit, in either layout, whole or cut`, async (t) => {
    const { folder, path } = workplace(t);
    const at = { cwd: folder };
    huggingFaceFolder(path('hf'), kind);
    const imported = await runCliHere(['import', 'hf', '--out', 'models/a', '--json'], at);
    t.is(imported.code, 0, imported.stderr);
    t.like(jsonLines(imported.stdout)[0], {
      event: 'import',
      checkpoint: 'models/a/step-000000',
      as: kind,
      layout: 'per-expert',
      notes: kind === 'qwen3_moe' ? ['intermediate_size 40 belongs to no layer; the topology says 12'] : [],
    });
    t.is((await runCliHere(['validate', 'models/a/topology.yaml'], at)).code, 0);
    const whole = ['export', 'models/a', '--out', 'out/whole', '--as', as];
    t.is((await runCliHere(whole, at)).code, 0);
    const fused = ['export', 'models/a/step-000000', '--out', 'out/fused', '--layout', 'fused'];
    t.is((await runCliHere(fused, at)).code, 0);
    t.is((await runCliHere(['import', 'out/fused', '--out', 'models/b'], at)).code, 0);
    t.is((await runCliHere(['export', 'models/b', '--out', 'out/again'], at)).code, 0);
    const before = await opened(folder, 'hf');
    for (const name of ['out/whole', 'out/fused', 'out/again']) {
      const after = await opened(folder, name);
      const ffn = kind === 'qwen3_moe' ? { ...before.config.ffn, dFf: 12 } : before.config.ffn;
      t.deepEqual(after.config, { ...before.config, ffn }, name);
      t.is(after.layout, name === 'out/fused' ? 'fused' : 'per-expert');
      for (const { name: parameter } of before.parameters)
        t.deepEqual(await after.read(parameter), await before.read(parameter), `${name}: ${parameter}`);
    }
  });
}

test('import: a Switch Transformer becomes a checkpoint with two stacks; it is not exported', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  huggingFaceFolder(path('hf'), 'switch');
  const imported = await runCliHere(['import', 'hf', '--out', 'models/a', '--seq-len', '20'], at);
  t.is(imported.code, 0, imported.stderr);
  t.regex(imported.stdout, /switch_transformers, 15\.2k parameters/);
  t.regex(imported.stdout, /train\.grains should be train\.batch/);
  t.regex(imported.stdout, /next: write data\.parallel and data\.tasks into models\/a\/topology\.yaml/);
  t.is((await runCliHere(['validate', 'models/a/topology.yaml'], at)).code, 0);
  const exported = await runCliHere(['export', 'models/a', '--out', 'out/a'], at);
  t.is(exported.code, 1);
  t.regex(exported.stderr, /the model cannot be written: .* it has an encoder, positions is t5/);
});

test('import: refuses by name, with the right code, and leaves nothing behind', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  const refuse = async (args: readonly string[], code: number, message: RegExp): Promise<void> => {
    const result = await runCliHere(['import', ...args, '--out', 'models/a'], at);
    t.is(result.code, code, result.stderr);
    t.regex(result.stderr, message);
    t.notRegex(result.stderr, /bug in Troupe/);
    t.false(existsSync(path('models')));
  };
  await refuse(['nowhere'], 2, /there is no folder 'nowhere'; name one with config\.json/);
  mkdirSync(path('empty'));
  await refuse(['empty'], 1, /'empty\/config\.json' does not exist/);
  huggingFaceFolder(path('hf'), 'mixtral');
  const config = path('hf/config.json');
  const good = readFileSync(config);
  const changes: readonly (readonly [object, RegExp])[] = [
    [
      { num_hidden_layers: 2_000_000 },
      /hf\/config\.json: num_hidden_layers is 2000000; .*at most 262144 are read/,
    ],
    [{ num_local_experts: 1e8 }, /with 100000000 experts a layer/],
    [{ rope_scaling: { rope_type: 'yarn', factor: 4 } }, /rope_scaling is/],
    [
      { model_type: 'deepseek_v3' },
      /model_type is "deepseek_v3"; readable are mixtral, olmoe, qwen3_moe, switch_transformers/,
    ],
    [{ hidden_size: 64 }, /does not fit the model: tensor 'model\.embed_tokens\.weight' has shape \[64,32\]/],
    [{ num_hidden_layers: 1 }, /tensor 'model\.layers\.1\.[\w.]+' is extra/],
  ];
  for (const [change, message] of changes) {
    changeJson(config, change);
    await refuse(['hf'], 1, message);
    writeFileSync(config, good);
  }
  const bytesTokenizer = new URL('tokenizer/tokenizer.json', fixtures);
  cpSync(bytesTokenizer, path('hf/tokenizer.json'));
  await refuse(['hf'], 1, /tokenizer\.json has \d+ tokens, vocab_size of config\.json is 64/);
  mkdirSync(path('models'));
  writeFileSync(path('models/a'), '');
  const taken = await runCliHere(['import', 'hf', '--out', 'models/a'], at);
  t.is(taken.code, 2);
  t.regex(taken.stderr, /--out 'models\/a' exists; name a folder that does not/);
});

test('export: refuses by name what an architecture does not have, and leaves nothing behind', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  huggingFaceFolder(path('hf'), 'mixtral');
  t.is((await runCliHere(['import', 'hf', '--out', 'model'], at)).code, 0);
  const asOlmoe = await runCliHere(['export', 'model', '--out', 'out/a', '--as', 'olmoe', '--json'], at);
  t.is(asOlmoe.code, 1);
  t.deepEqual(jsonLines(asOlmoe.stdout), [
    {
      event: 'error',
      code: 'TROUPE_CHECKPOINT_UNSUPPORTED',
      message: 'a: the model cannot be written: as OlmoeForCausalLM qkNorm is none, not full',
    },
  ]);
  t.deepEqual(readdirSync(folder).includes('out'), false);
  const nothing = await runCliHere(['export', 'hf', '--out', 'out'], at);
  t.is(nothing.code, 2);
  t.regex(nothing.stderr, /'hf' holds no checkpoint/);
  writeFileSync(path('file'), '');
  for (const out of ['file/d', 'file/d/e', '/proc/d', '/proc/d/e'])
    for (const args of [
      ['export', 'model'],
      ['import', 'hf'],
    ]) {
      const place = await runCliHere([...args, '--out', out], at);
      t.is(place.code, 2, place.stderr);
      t.regex(
        place.stderr,
        new RegExp(`^troupe: --out '${out}' cannot be made: the system refuses \\(E\\w+\\)\nexit 2`),
      );
    }
  mkdirSync(path('here'));
  const here = await runCliHere(['export', '../model', '--out', ''], { cwd: path('here') });
  t.is(here.code, 2, here.stderr);
  t.true(existsSync(path('here')), 'no name is the working folder, which stays');
  const unknown = await runCliHere(['export', 'model', '--out', 'out', '--as', 'llama'], at);
  t.is(unknown.code, 2);
  t.regex(unknown.stderr, /Allowed choices are mixtral, olmoe, qwen3-moe/);
  const resumed = await runCliHere(['resume', 'model'], at);
  t.is(resumed.code, 1, resumed.stdout);
  t.regex(resumed.stderr, /weights alone.*launch FILE --from CHECKPOINT/);
});

test('launch: without balance loss, as an imported model may be, its scope changes nothing', async (t) => {
  const { folder } = workplace(t);
  const losses = async (scope: string): Promise<readonly unknown[]> => {
    const balance = `model.moe.balance={auxLoss: 0, zLoss: 0, ${scope}}`;
    const args = ['launch', 'small.yaml', '--set', balance, '--stop-after', '2', '--no-checkpoint', '--json'];
    const { code, stdout } = await runCli(args, { cwd: folder });
    t.is(code, 0, stdout);
    return jsonLines(stdout)
      .filter(({ event }) => event === 'step')
      .map(({ loss, gradNorm }) => [loss, gradNorm]);
  };
  const pooled = await losses('scope: global, layers: pooled');
  t.is(pooled.length, 2);
  t.deepEqual(pooled, await losses('scope: sequence, layers: each'));
});

test('generate: of a model whose folder had no tokenizer says that, and nothing of synthetic tokens', async (t) => {
  const { folder, path } = workplace(t);
  const at = { cwd: folder };
  huggingFaceFolder(path('hf'), 'mixtral');
  t.is((await runCliHere(['import', 'hf', '--out', 'model'], at)).code, 0);
  const { code, stderr } = await runCliHere(['generate', 'model', '--prompt', 'a'], at);
  t.is(code, 2, stderr);
  t.regex(stderr, /the folder that this model was imported from had no tokenizer\.json, so it has no text/);
});
