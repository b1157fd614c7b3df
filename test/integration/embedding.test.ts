import test from 'ava';
import { MemoryStorage } from '@troupe/sim';
import { silentLogger, TroupeError, UserCodeError, type Logger } from '@troupe/core';
import { openReferenceDevice } from '@troupe/kernels';
import { openCheckpoint } from '@troupe/checkpoint';
import {
  fileStorage,
  launch,
  loadDevice,
  loadTopology,
  measuredPeakFlops,
  openRun,
  openSimulator,
  pinoLogger,
  serveExperts,
  simulate,
  startCluster,
  type ClusterOptions,
  type ExpertRule,
  type GateRule,
  type RunEvent,
} from 'troupe';
import { tinyTokens, tinyTopology, trainTiny } from './tiny-cluster.ts';

const topology = tinyTopology({ dp: 2, ep: 2, steps: 3 });
const openDevice = () => Promise.resolve(openReferenceDevice({ dtype: 'f32' }));
const start = (options: ClusterOptions) =>
  startCluster(topology, { tokens: tinyTokens, openDevice, ...options });

/** The error that a run with these options ends with. */
async function failing(options: ClusterOptions): Promise<TroupeError> {
  const cluster = await start(options);
  const { error, exitCode } = await cluster.result;
  if (error === null) throw new Error(`the run ended with ${exitCode}`);
  return error;
}

const boom = new Error('boom\n    at somewhere (file.js:1:1)');
const throwing = (): never => {
  throw boom;
};

test('startCluster: every option that is not what it has to be is named at once, before a device is opened', async (t) => {
  let opened = 0;
  const wrong = {
    stopAfter: Number.NaN,
    gate: { name: 'half' },
    expert: 7,
    documents: 3,
    tokens: { trainBatch: () => null, evalBatch: () => null },
    checkpoints: { folder: 'run', keep: 1.5, tokenizer: null },
    resumeFrom: 'runs/tiny',
    openDevice: () => {
      opened++;
      return openDevice();
    },
    logger: console.log,
    observe: 'all',
    sink: [],
    mailboxCapacity: -1,
    onMounted: true,
    watch: { heartbeatMs: 0, silenceMs: Infinity },
    metrics: { storage: { makeFolder: () => {} }, folder: '', sinks: ['tensorbord'] },
    stopafter: 3,
  };
  const error = await t.throwsAsync(startCluster(topology, wrong as never), { code: 'TROUPE_OPTION' });
  for (const sentence of [
    'there is no option stopafter; did you mean stopAfter?',
    'stopAfter is NaN, expected a whole number of at least 1 (the step at which to end)',
    'gate has no method choose()',
    'expert is 7, expected an expert',
    'tokens.numEvalSequences is nothing, expected a whole number of at least 0',
    'checkpoints.keep is 1.5',
    "resumeFrom is 'runs/tiny', expected a checkpoint",
    'logger has no method debug(), info(), warn(), error(), child()',
    "observe is 'all', expected a function",
    'sink is a list of 0, expected a function',
    'mailboxCapacity is -1',
    'onMounted is true, expected a function',
    'watch.heartbeatMs is 0, expected a number above 0 (milliseconds)',
    'watch.silenceMs is Infinity',
    'metrics.storage has no method grow()',
    'metrics.sinks[0] is ',
    'documents is 3, expected nothing beside tokens',
  ])
    t.true(error.message.includes(sentence), `${sentence}\n${error.message}`);
  t.is(opened, 0);
  for (const stopAfter of [Number.NaN, 1.5, -1, 0, '3', Number.POSITIVE_INFINITY, null])
    await t.throwsAsync(start({ stopAfter } as never), { code: 'TROUPE_OPTION', message: /stopAfter is/ });
  const checkpoints = { folder: 'run', keep: 1, tokenizer: null };
  await t.throwsAsync(start({ checkpoints } as never), {
    message: /checkpoints\.storage is nothing, expected a storage/,
  });
  await t.throwsAsync(startCluster('tiny' as never), {
    message: /topology is 'tiny', expected what loadTopology gives: pass loadTopology\('tiny'\)/,
  });
  await t.throwsAsync(startCluster(topology, null as never), { code: 'TROUPE_OPTION' });
});

test('exports: whatever is passed in the wrong type is one sentence, before anything starts', async (t) => {
  const none = undefined as never;
  const storage = new MemoryStorage();
  const launched = { checkpoints: null, report: () => {}, logLevel: 'silent', peakFlops: null };
  const simulator = await openSimulator(topology, { tokens: tinyTokens, openDevice });
  const refused: readonly (readonly [() => unknown, RegExp])[] = [
    [() => loadTopology(none), /^loadTopology: name is nothing, expected the path of a file or the name/],
    [() => loadTopology('tiny', { set: 'a=1' } as never), /set is 'a=1', expected a list of texts/],
    [() => loadTopology('tiny', { sets: [] } as never), /there is no option sets/],
    [() => launch(none, launched as never), /^launch: topology is missing/],
    [() => launch(topology, none), /^launch: options? is missing|expected an object of options/],
    [
      () => launch(topology, {} as never),
      /checkpoints is missing.*report is missing.*logLevel is missing.*peakFlops is missing/,
    ],
    [() => launch(topology, { ...launched, stopAfter: 1.5 } as never), /^launch: stopAfter is 1\.5/],
    [
      () => launch(topology, { ...launched, logLevel: 'loud' } as never),
      /logLevel is 'loud', expected one of debug, /,
    ],
    [() => launch(topology, { ...launched, peakFlops: Number.NaN } as never), /peakFlops is NaN/],
    [
      () => launch(topology, { ...launched, checkpoints: { storage: 1 } } as never),
      /checkpoints\.storage is 1.*checkpoints\.folder is missing/,
    ],
    [
      () => simulate(topology, { seed: 1 } as never),
      /^simulate: openDevice is missing, expected a function$/,
    ],
    [
      () =>
        simulate(topology, {
          seed: 0.5,
          openDevice,
          budgetMs: -1,
          link: { latency: 1, jitterMs: 'x' },
          speed: { flopsPerMs: -1 },
        } as never),
      /seed is 0\.5.*flopsPerMs is -1.*there is no option link\.latency; did you mean link\.latencyMs\?.*link\.jitterMs is 'x'.*budgetMs is -1/,
    ],
    [() => openSimulator(topology, { real: [-1] }), /^openSimulator: real\[0\] is -1/],
    [() => openSimulator(topology, { real: [] }), /^openSimulator: real names no replica/],
    [
      () => simulator.run({ seed: 1, steps: 0, faults: 'some' } as never),
      /^Simulator\.run: steps is 0.*faults is 'some', expected a list of faults, or 'swarm'/,
    ],
    [() => serveExperts(none), /^serveExperts: options is missing, expected an object of options$/],
    [() => openRun(7 as never), /^openRun: folder is 7/],
    [() => openRun('x', { checkpoint: 3, verify: 'no' } as never), /verify is 'no'.*checkpoint is 3/],
    [() => fileStorage(none), /^fileStorage: root is missing/],
    [() => pinoLogger('all' as never), /^pinoLogger: level is 'all'/],
    [() => measuredPeakFlops(0.5), /^measuredPeakFlops: threads is 0\.5/],
    [() => loadDevice({ body: 'gpu' } as never), /^body is 'gpu', expected one of auto, native/],
    [
      () =>
        startCluster(topology, { checkpoints: { storage, folder: 'run', keep: 0, tokenizer: 'x' } } as never),
      /checkpoints\.keep is 0.*checkpoints\.tokenizer is 'x', expected a Uint8Array, or null/,
    ],
  ];
  for (const [call, message] of refused) await t.throwsAsync(async () => call(), { message }, String(call));
});

test('events: every loop reads a stream of its own, from the first event to the last, whenever it begins', async (t) => {
  const cluster = await start({});
  const steps = async (): Promise<readonly number[]> => {
    const seen: number[] = [];
    for await (const { step } of cluster.steps()) seen.push(step);
    return seen;
  };
  const stream = cluster.steps();
  const early = [steps(), steps()];
  for await (const { step } of stream) if (step === 2) break;
  t.deepEqual(await Promise.all(early), [
    [1, 2, 3],
    [1, 2, 3],
  ]);
  await cluster.result;
  t.deepEqual(await steps(), [1, 2, 3], 'after the run');
  const again: number[] = [];
  for await (const { step } of stream) again.push(step);
  t.deepEqual(again, [1, 2, 3], 'the same iterable twice');
  const events: string[] = [];
  for await (const { event } of cluster.events()) events.push(event);
  t.is(events[0], 'start');
  t.is(events.filter((event) => event === 'step').length, 3);
});

test('callbacks: what one throws ends the run with its error, and the process lives', async (t) => {
  const logger: Logger = { ...silentLogger, child: throwing };
  for (const [name, options] of Object.entries({
    observe: { observe: throwing },
    sink: { sink: throwing },
    onMounted: { onMounted: throwing },
    logger: { logger },
  })) {
    const error = await failing(options);
    t.true(error instanceof UserCodeError, name);
    t.is(error.message, `the option ${name} threw: boom`, 'no stack');
    t.is(error.cause, boom);
  }
});

test('callbacks: those of a simulation and of a launch too', async (t) => {
  const simulator = await openSimulator(topology, { tokens: tinyTokens, openDevice });
  const one = { seed: 1, steps: 1, faults: [] };
  for (const name of ['observe', 'until'] as const) {
    const { error } = (await simulator.run(one, { [name]: throwing })).result;
    t.is(error?.message, `the option ${name} threw: boom`);
    t.is(error?.cause, boom);
  }
  await t.throwsAsync(simulator.run(one, { progress: throwing }), {
    message: 'the option progress threw: boom',
  });
  const launched = await launch(topology, {
    checkpoints: null,
    report: throwing,
    logLevel: 'silent',
    peakFlops: null,
  });
  const { error, exitCode } = await launched.result;
  t.true(error instanceof UserCodeError);
  t.is(error?.message, 'the option report threw: boom');
  t.is(error?.cause, boom);
  t.is(exitCode, 1);
});

// As a program without types may pass one.
const rejecting = (() => Promise.reject(boom)) as unknown as () => never;

test('callbacks: the rejection of an async one ends the run as a throw does, and the process lives', async (t) => {
  const logger: Logger = { ...silentLogger, child: rejecting };
  for (const [name, options] of Object.entries({
    observe: { observe: rejecting },
    sink: { sink: rejecting },
    onMounted: { onMounted: rejecting },
    logger: { logger },
  })) {
    const error = await failing(options);
    t.true(error instanceof UserCodeError, name);
    t.is(error.message, `the option ${name} threw: boom`);
    t.is(error.cause, boom);
  }
  const cluster = await start({});
  cluster
    .actors()
    .find(({ address }) => address === 'trainer')
    ?.subscribe(rejecting);
  t.is((await cluster.result).error?.message, 'a subscription of trainer threw: boom');
});

test('callbacks: a rejection in a simulation and in a launch does too', async (t) => {
  const simulator = await openSimulator(topology, { tokens: tinyTokens, openDevice });
  const one = { seed: 1, steps: 1, faults: [] };
  const { error: observed } = (await simulator.run(one, { observe: rejecting })).result;
  t.is(observed?.message, 'the option observe threw: boom');
  t.is(observed?.cause, boom);
  const { error: asked } = (await simulator.run(one, { until: rejecting })).result;
  t.is(asked?.message, 'the option until returned a Promise, expected true or false; it answers at once');
  await t.throwsAsync(simulator.run(one, { progress: rejecting }), {
    instanceOf: UserCodeError,
    message: 'the option progress threw: boom',
  });
  const launched = await launch(topology, {
    checkpoints: null,
    report: rejecting,
    logLevel: 'silent',
    peakFlops: null,
  });
  const { error } = await launched.result;
  t.true(error instanceof UserCodeError);
  t.is(error?.message, 'the option report threw: boom');
  t.is(error?.cause, boom);
});

test('mailboxCapacity: a full mailbox ends the run with its error, also when it is that of the supervisor', async (t) => {
  const errors = await Promise.all([1, 2].map((mailboxCapacity) => failing({ mailboxCapacity })));
  t.deepEqual(
    errors.map(({ code }) => code),
    ['TROUPE_MAILBOX_FULL', 'TROUPE_MAILBOX_FULL'],
  );
  t.regex(errors[0]?.message ?? '', /^mailbox of supervisor is full at 1 messages/u);
});

test('openDevice: one that throws, or gives no device, is the error of the start, with its cause', async (t) => {
  const what = 'the option openDevice (replica 0)';
  for (const open of [throwing, rejecting]) {
    const error = await t.throwsAsync(start({ openDevice: open }), { instanceOf: UserCodeError });
    t.is(error.message, `${what} threw: boom`);
    t.is(error.cause, boom);
  }
  for (const [given, shown] of [
    [undefined, 'nothing'],
    [{ submit: () => {} }, 'an object'],
  ])
    await t.throwsAsync(start({ openDevice: () => Promise.resolve(given as never) }), {
      instanceOf: UserCodeError,
      message: `${what} returned ${shown as string}, expected a device with info, floats, read, write, submit and close, such as loadDevice gives`,
    });
  const unavailable = new TroupeError('TROUPE_DEVICE_UNAVAILABLE', 'no such device here');
  t.is(await t.throwsAsync(start({ openDevice: () => Promise.reject(unavailable) })), unavailable);
});

test('own gate: what it throws is the cause, also when it is no Error', async (t) => {
  const choose = (): never => {
    throw 'no route' as unknown as Error;
  };
  const error = await failing({ gate: { name: 'blunt', choose } });
  t.is(error.code, 'TROUPE_USER_CODE');
  t.regex(error.message, /threw: no route$/u);
  t.is(error.cause, 'no route');
});

const evenly: GateRule = {
  name: 'even',
  choose: (_logits, { tokens, topK, experts }) =>
    Int32Array.from({ length: tokens * topK }, (_, index) => index % experts),
};

test('own gate: what is no choice is refused by name, with token and expert; a good one trains', async (t) => {
  const given = (choose: unknown): ClusterOptions => ({ gate: { name: 'mine', choose } as GateRule });
  const changed =
    (change: (choices: Int32Array) => unknown): GateRule['choose'] =>
    (logits, question) =>
      change(evenly.choose(logits, question)) as Int32Array;
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [() => undefined, /returned nothing, expected an Int32Array of 64 \(32 tokens, 2 choices each\)$/],
    [changed((choices) => choices.subarray(1)), /returned Int32Array of 63, expected an Int32Array of 64/],
    [changed((choices) => [...choices]), /returned a list of 64/],
    [changed((choices) => Float32Array.from(choices).fill(Number.NaN)), /returned Float32Array of 64/],
    [changed((choices) => Promise.resolve(choices)), /returned a Promise, .*; a gate answers at once$/],
    [
      changed((choices) => choices.fill(4, 6, 7)),
      /chose expert 4 for token 3, expected 0 to 3, or -1 for none$/,
    ],
    [changed((choices) => choices.fill(-2, 9, 10)), /chose expert -2 for token 4/],
    [
      changed((choices) => choices.fill(2, 10, 12)),
      /chose expert 2 twice for token 5; choices of a token are distinct$/,
    ],
  ];
  for (const [choose, message] of cases) {
    const error = await failing(given(choose));
    t.is(error.code, 'TROUPE_USER_CODE');
    t.regex(error.message, message);
    t.regex(error.message, /^the gate 'mine' \(step 1, layer 0\) /);
  }
  const error = await failing(given(throwing));
  t.is(error.message, "the gate 'mine' (step 1, layer 0) threw: boom");
  t.is(error.cause, boom);
  for (const gate of [evenly, { ...evenly, choose: changed((choices) => choices.fill(-1, 4, 6)) }])
    t.is((await (await start({ gate })).result).error, null);
});

test('own expert: what is no list of calls is refused by name, and so is a call that its device refuses', async (t) => {
  const model: ExpertRule = { name: 'mine', forward: (call) => [call], backward: (call) => [call] };
  const cases: readonly (readonly [Partial<Record<keyof ExpertRule, unknown>>, RegExp])[] = [
    [
      { forward: () => undefined },
      /^forward of the expert 'mine' returned nothing, expected a list of kernel calls$/,
    ],
    [{ forward: () => [] }, /^forward of the expert 'mine' returned a list of 0/],
    [{ backward: () => [3] }, /^backward of the expert 'mine' returned 3 as call 0, expected a kernel call/],
    [{ forward: throwing }, /^forward of the expert 'mine' threw: boom$/],
    [{ backward: async () => [] }, /^backward of the expert 'mine' returned a Promise/],
    [
      { forward: (call: object) => [{ ...call, dim: 500 }] },
      /^the expert 'mine' made a call that its device refuses: .*experts\.forward/,
    ],
    [
      { forward: () => [{ op: 'nonsense' }] },
      /^the expert 'mine' made a call that its device refuses: .*nonsense/,
    ],
  ];
  for (const [change, message] of cases) {
    const error = await failing({ expert: { ...model, ...change } as ExpertRule });
    t.regex(error.message, message);
    t.is(error.code, 'TROUPE_USER_CODE', error.message);
  }
  for (const [parameters, message] of [
    [() => undefined, /returned nothing, expected a list of \{ name, shape \}/],
    [() => [{ name: 'a.b', shape: [2] }], /named parameter 0 'a\.b'/],
    [() => [{ name: 'w', shape: [2.5] }], /gave 'w' the shape \[2\.5\]/],
    [
      () => [
        { name: 'w', shape: [2] },
        { name: 'w', shape: [2] },
      ],
      /named two of them 'w'/,
    ],
    [throwing, /threw: boom/],
  ] as const)
    await t.throwsAsync(start({ expert: { ...model, parameters } as unknown as ExpertRule }), {
      code: 'TROUPE_USER_CODE',
      message,
    });
  t.is((await (await start({ expert: model })).result).error, null);
});

test('own tokens: a batch that is none is refused, with its member and element', async (t) => {
  const given = (change: (batch: ReturnType<typeof tinyTokens.trainBatch>) => unknown) => ({
    tokens: {
      ...tinyTokens,
      trainBatch: (step: number, first: number, count: number) =>
        change(tinyTokens.trainBatch(step, first, count)) as never,
    },
  });
  for (const [change, message] of [
    [() => undefined, /^trainBatch\(1, [04], 4\) of the option tokens returned nothing, expected a batch/],
    [
      (batch) => ({ ...batch, targets_T: [...batch.targets_T] }),
      /returned a list of 32 as targets_T, expected Int32Array of 32/,
    ],
    [(batch) => ({ ...batch, valid_T: batch.valid_T.subarray(1) }), /returned Uint8Array of 31 as valid_T/],
    [
      (batch) => ({ ...batch, ids_T: batch.ids_T.fill(32, 5, 6) }),
      /returned 32 as ids_T\[5\], expected 0 to 31$/,
    ],
    [throwing, /threw: boom$/],
  ] as readonly (readonly [Parameters<typeof given>[0], RegExp])[]) {
    const error = await failing(given(change));
    t.is(error.code, 'TROUPE_USER_CODE');
    t.regex(error.message, message);
  }
});

test('own tokens: promises of batches give the numbers of the batches, bit for bit; a rejected one is the error of the run', async (t) => {
  const later =
    (change: (step: number) => void = () => {}) =>
    async (step: number, first: number, count: number) => {
      await new Promise((resolve) => setImmediate(resolve));
      change(step);
      return tinyTokens.trainBatch(step, first, count);
    };
  const evalBatch = async (first: number, count: number) => tinyTokens.evalBatch(first, count);
  const asynchronous = { ...tinyTokens, trainBatch: later(), evalBatch };
  for (const layout of [
    { dp: 2, ep: 2, steps: 3 },
    { dp: 1, ep: 1, microbatches: 2, steps: 3 },
  ]) {
    const [expected, found] = [
      await trainTiny(tinyTopology(layout), openDevice),
      await trainTiny(tinyTopology(layout), openDevice, { tokens: asynchronous }),
    ];
    t.is(found.result.error, null);
    t.deepEqual(found.hashes, expected.hashes);
  }
  const late = later((step) => step < 2 || throwing());
  const error = await failing({ tokens: { ...tinyTokens, trainBatch: late } });
  t.true(error instanceof UserCodeError);
  t.regex(error.message, /^trainBatch\(2, [04], 4\) of the option tokens threw: boom$/);
  t.is(error.cause, boom);
  const wrong = await failing({ tokens: { ...tinyTokens, trainBatch: async () => ({}) as never } });
  t.regex(wrong.message, /returned nothing as ids_T/);
});

test('own documents: an async iterable trains as the same texts in a list; what is no text is refused', async (t) => {
  const tiny = loadTopology('tiny', { set: ['train.steps=2', 'data.tokenizer.kind=bytes'] });
  const texts = Array.from({ length: 400 }, (_, index) => `text number ${index} of an own source `.repeat(4));
  const losses = async (documents: NonNullable<ClusterOptions['documents']>): Promise<readonly number[]> => {
    const cluster = await startCluster(tiny, { documents });
    const seen: number[] = [];
    for await (const { loss } of cluster.steps()) seen.push(loss);
    t.is((await cluster.result).error, null);
    return seen;
  };
  async function* stream(): AsyncGenerator<string> {
    for (const text of texts) yield text;
  }
  const streamed = await losses(stream());
  t.is(streamed.length, 2);
  t.deepEqual(streamed, await losses(texts));
  async function* broken(): AsyncGenerator<string> {
    yield 'a';
    throwing();
  }
  const error = await t.throwsAsync(startCluster(tiny, { documents: broken() }), {
    instanceOf: UserCodeError,
  });
  t.is(error.message, 'the option documents threw: boom');
  t.is(error.cause, boom);
  await t.throwsAsync(startCluster(tiny, { documents: ['a', 7] as never }), {
    message: 'the option documents gave 7 as document 1, expected a text',
  });
  await t.throwsAsync(startCluster(tiny, { documents: 'text' as never }), { code: 'TROUPE_OPTION' });
  await t.throwsAsync(start({ documents: texts }), {
    message: /documents is a list of 400, expected nothing beside tokens/,
  });
});

test('actors: every actor has its address, node, state and a subscription that ends', async (t) => {
  const cluster = await start({});
  const actors = cluster.actors();
  t.deepEqual(
    actors.map(({ node, address }) => `${node} ${address}`).filter((line) => /supervisor|L0\//u.test(line)),
    [
      'lead/0 supervisor',
      'worker/0 gate/L0/pp0/dp0',
      'worker/0 expert/L0/ep0/edp0',
      'worker/1 gate/L0/pp0/dp1',
      'worker/1 expert/L0/ep1/edp0',
    ],
  );
  const expert = actors.find(({ address }) => address === 'expert/L0/ep1/edp0');
  const trainer = actors.find(({ address }) => address === 'trainer');
  if (expert === undefined || trainer === undefined) throw new Error('these two are there');
  t.is(expert.state, 'loading');
  t.is(expert.incarnation, 1);
  t.is(expert.mailboxSize, 0);
  const seen = { first: 0, second: 0 };
  const states = new Set<string>();
  const stop = expert.subscribe(({ address, stateAfter }) => {
    t.is(String(address), 'expert/L0/ep1/edp0');
    t.is(expert.state, stateAfter);
    states.add(stateAfter);
    seen.first++;
  });
  expert.subscribe(() => void seen.second++);
  for await (const { step } of cluster.steps()) if (step === 1) stop();
  await cluster.result;
  t.deepEqual([...states].toSorted(), ['serving.backwarding', 'serving.forwarding', 'serving.gathering']);
  t.true(seen.first > 4 && seen.second > 2 * seen.first, JSON.stringify(seen));
  t.is(expert.state, 'serving.gathering', 'the last one, after the run');
  const failed = await start({});
  failed
    .actors()
    .find(({ address }) => address === 'trainer')
    ?.subscribe(throwing);
  const { error } = await failed.result;
  t.is(error?.message, 'a subscription of trainer threw: boom');
});

test('resume: a step that lies behind the checkpoint is refused', async (t) => {
  const storage = new MemoryStorage();
  const checkpoints = { storage, folder: 'run', keep: 1, tokenizer: null };
  await (
    await start({ stopAfter: 2, checkpoints })
  ).result;
  const resumeFrom = await openCheckpoint(storage, 'run/step-000002');
  await t.throwsAsync(start({ stopAfter: 1, resumeFrom }), {
    code: 'TROUPE_OPTION',
    message: /stopAfter is 1, and the checkpoint to go on from holds step 2/,
  });
});

test('metrics: sinks of a run write into a storage, a run that goes on adds to them; one that is full is a warning', async (t) => {
  const storage = new MemoryStorage();
  const metrics = { storage, folder: 'runs/mine', sinks: ['jsonl', 'csv', 'tensorboard'] } as const;
  for (let run = 0; run < 2; run++) {
    const cluster = await start({ stopAfter: 2, metrics });
    const seen: string[] = [];
    for await (const event of cluster.events()) seen.push(JSON.stringify(event));
    t.is((await cluster.result).error, null);
    const lines = new TextDecoder()
      .decode(await storage.read('runs/mine/metrics.jsonl'))
      .trimEnd()
      .split('\n');
    t.deepEqual(lines.slice(-seen.length), seen);
    t.is(lines.length, (run + 1) * seen.length);
  }
  t.is(storage.paths.length, 4, storage.paths.join());
  const full = new MemoryStorage({ capacityBytes: 200 });
  const cluster = await start({ stopAfter: 2, metrics: { storage: full, folder: '' } });
  const warnings: string[] = [];
  for await (const event of cluster.events()) if (event.event === 'warning') warnings.push(event.message);
  t.is((await cluster.result).exitCode, 0);
  t.is(warnings.length, 1, warnings.join());
  t.regex(warnings[0] ?? '', /^no more metrics in metrics\.jsonl: no room left/);
});

test('metrics: those of a launch are the events that it reports; one that cannot be written is a warning', async (t) => {
  const storage = new MemoryStorage();
  await storage.makeFolder('run/metrics.csv');
  const reported: RunEvent[] = [];
  const launched = await launch(topology, {
    checkpoints: null,
    metrics: { storage, folder: 'run', sinks: ['jsonl', 'csv'] },
    report: (event) => void reported.push(event),
    logLevel: 'silent',
    peakFlops: null,
    stopAfter: 2,
  });
  t.is((await launched.result).exitCode, 0);
  const lines = new TextDecoder()
    .decode(await storage.read('run/metrics.jsonl'))
    .trimEnd()
    .split('\n');
  t.deepEqual(
    lines,
    reported.map((event) => JSON.stringify(event)),
  );
  const warnings = reported.flatMap((event) => (event.event === 'warning' ? [event.message] : []));
  t.is(warnings.length, 1);
  t.regex(warnings[0] ?? '', /^no more metrics in run\/metrics\.csv: /);
});
