import test from 'ava';
import {
  planTopology,
  refuseUnbuilt,
  resolveTopology,
  type TopologyInput,
  type TrafficBytes,
} from '@troupe/topology';
import { createReferenceCodec } from '@troupe/wire';
import { openSimulator } from 'troupe';

/** A model in which norms and other small units, padded to 1,024 elements, are a small part. */
const model = {
  vocab: 512,
  layers: 4,
  dModel: 128,
  heads: 4,
  seqLen: 32,
  ffn: { kind: 'swiglu', dFf: 256 },
  moe: { every: 2, experts: 8, topK: 2 },
} as const;

/** A dense layer, then narrow experts beside a shared one, with sigmoid scores of groups and a bias. */
const biased = {
  ...model.moe,
  every: 1,
  firstDense: 1,
  dExpert: 96,
  sharedExperts: 1,
  router: { scores: 'sigmoid', groups: 4, topGroups: 2, scale: 2.5 },
  balance: { bias: 0.001 },
} as const;

/** Half of the layers read a source that is longer than what is written, the others that and its memory. */
const reading = { ...model, encoder: { layers: 2, seqLen: 48 } } as const;

const resolved = (over: Partial<TopologyInput>) =>
  resolveTopology({
    model,
    // Nothing is held out, as nothing is evaluated where nothing is computed.
    data: { synthetic: 'zipf', holdout: 0 },
    train: { batch: 16, grains: 16 },
    checkpoint: { every: 0 },
    ...over,
  });

/** Mixtures that are run, each with what `plan` says of it. */
const mixtures: Readonly<Record<string, Partial<TopologyInput>>> = {
  'one device': {},
  'one device, two microbatches': { train: { batch: 16, grains: 16, microbatches: 2 } },
  'one device, bf16': { train: { batch: 16, grains: 16, precision: 'bf16' } },
  'tied head': { model: { ...model, tiedHead: true } },
  'dp 4, zero 0': { parallel: { dp: 4, zero: 0 } },
  'dp 4, zero 1': { parallel: { dp: 4, zero: 1 } },
  'dp 4, ep 2, shared experts': {
    model: { ...model, moe: { ...model.moe, sharedExperts: 1 } },
    parallel: { dp: 4, ep: 2 },
  },
  'dp 2, ep 2, a norm of what experts add, recomputed': {
    model: { ...model, norm: 'layer', moe: { ...model.moe, norm: true, sharedExperts: 1 } },
    parallel: { dp: 2, ep: 2 },
    train: { batch: 16, grains: 16, recompute: 'layer' },
  },
  'one device, routing as DeepSeek-V3': { model: { ...model, moe: biased } },
  'dp 4, ep 2, buddies, routing as DeepSeek-V3': {
    model: { ...model, moe: biased },
    parallel: { dp: 4, ep: 2 },
    recovery: { buddies: true },
  },
  'dp 2, ep 2, zero 3, routing as DeepSeek-V3': {
    model: { ...model, moe: biased },
    parallel: { dp: 2, ep: 2, zero: 3 },
  },
  'dp 2, ep 2, experts that drop, a jittered router': {
    model: {
      ...model,
      moe: { ...model.moe, capacity: { train: 1.25 }, router: { sampling: 'second', jitter: 0.01 } },
    },
    parallel: { dp: 2, ep: 2 },
  },
  'pp 2, experts that drop, recomputed, balanced over four grains': {
    model: {
      ...model,
      moe: {
        ...model.moe,
        capacity: 1,
        router: { jitter: 0.01 },
        balance: { scope: 'domain', domain: 4 },
      },
    },
    parallel: { pp: 2, dp: 1, pipeline: 'zero-bubble' },
    train: { batch: 16, grains: 16, microbatches: 4, recompute: 'layer' },
  },
  'tp 2, a norm of what experts add': {
    model: { ...model, moe: { ...model.moe, norm: true } },
    parallel: { tp: 2, dp: 1 },
  },
  'dp 4, ep 2, muon, buddies': {
    parallel: { dp: 4, ep: 2 },
    train: { batch: 16, grains: 16, optimizer: { kind: 'muon' } },
    recovery: { buddies: true },
  },
  'dp 4, zero 3, adafactor, bf16': {
    parallel: { dp: 4, zero: 3 },
    train: { batch: 16, grains: 16, precision: 'bf16', optimizer: { kind: 'adafactor' } },
  },
  'dp 2, sgd, offload, buddies': {
    parallel: { dp: 2, offload: 'optimizer' },
    train: { batch: 16, grains: 16, optimizer: { kind: 'sgd' } },
    recovery: { buddies: true },
  },
  'dp 4, ep 4, buddies': { parallel: { dp: 4, ep: 4 }, recovery: { buddies: true } },
  'dp 8, ep 2, levels of two': { parallel: { dp: 8, ep: 2 }, wire: { fanout: 2 } },
  'pp 2, four microbatches': {
    parallel: { pp: 2, dp: 1 },
    train: { batch: 16, grains: 16, microbatches: 4 },
  },
  'pp 2, dp 2, ep 2, gpipe': {
    parallel: { pp: 2, dp: 2, ep: 2, pipeline: 'gpipe' },
    train: { batch: 16, grains: 16, microbatches: 4 },
  },
  'pp 2, dp 2, interleaved, buddies': {
    parallel: { pp: 2, dp: 2, pipeline: 'interleaved' },
    train: { batch: 16, grains: 16, microbatches: 4 },
    recovery: { buddies: true },
  },
  'dp 4, zero 2, two microbatches': {
    parallel: { dp: 4, zero: 2 },
    train: { batch: 16, grains: 16, microbatches: 2 },
  },
  'dp 4, ep 2, zero 3, two microbatches, bf16': {
    parallel: { dp: 4, ep: 2, zero: 3 },
    train: { batch: 16, grains: 16, microbatches: 2, precision: 'bf16' },
  },
  'pp 2, dp 4, zero 3, levels of two': {
    parallel: { pp: 2, dp: 4, zero: 3 },
    train: { batch: 16, grains: 16, microbatches: 2 },
    wire: { fanout: 2 },
  },
  'one device, offload, bf16': {
    parallel: { dp: 1, offload: 'optimizer' },
    train: { batch: 16, grains: 16, precision: 'bf16' },
  },
  'dp 4, zero 2, offload, two microbatches': {
    parallel: { dp: 4, zero: 2, offload: 'optimizer' },
    train: { batch: 16, grains: 16, microbatches: 2 },
  },
  'dp 8, ep 2, zero 2, offload, levels of two': {
    parallel: { dp: 8, ep: 2, zero: 2, offload: 'optimizer' },
    wire: { fanout: 2 },
  },
  'dp 4, zero 3, offload, bf16': {
    parallel: { dp: 4, zero: 3, offload: 'optimizer' },
    train: { batch: 16, grains: 16, precision: 'bf16' },
  },
  // A lone stage is ahead of its courier, and no layer sends rows: without a credit it would have a bucket for each.
  'one device, offload, 24 dense layers': {
    model: { ...model, layers: 24, moe: null },
    parallel: { dp: 1, offload: 'optimizer' },
    train: { batch: 16, grains: 16, microbatches: 2 },
  },
  'dp 4, zero 2, 24 dense layers, levels of two': {
    model: { ...model, layers: 24, moe: null },
    parallel: { dp: 4, zero: 2 },
    train: { batch: 16, grains: 16, microbatches: 2 },
    wire: { fanout: 2 },
  },
  'dp 2, ep 2, offload, 24 layers, every third one with experts': {
    model: { ...model, layers: 24, moe: { ...model.moe, every: 3 } },
    parallel: { dp: 2, ep: 2, offload: 'optimizer' },
    train: { batch: 16, grains: 16, microbatches: 2 },
  },
  'tp 2, dense and experts': { parallel: { tp: 2, dp: 1 } },
  'tp 2, dp 2, ep 2, two microbatches': {
    parallel: { tp: 2, dp: 2, ep: 2 },
    train: { batch: 16, grains: 16, microbatches: 2 },
  },
  'tp 2, dp 2, zero 0, bf16': {
    parallel: { tp: 2, dp: 2, ep: 2, zero: 0 },
    train: { batch: 16, grains: 16, precision: 'bf16' },
  },
  'tp 2, shared experts, recomputed': {
    model: { ...model, qkNorm: 'full', moe: { ...model.moe, sharedExperts: 1 } },
    parallel: { tp: 2, dp: 1 },
    train: { batch: 16, grains: 16, recompute: 'layer' },
  },
  'tp 2, whole experts': { parallel: { tp: 2, dp: 1, expertsSliced: false } },
  'tp 2, dp 2, ep 2, whole experts of three grains, bf16': {
    parallel: { tp: 2, dp: 2, ep: 2, expertsSliced: false },
    train: { batch: 12, grains: 12, microbatches: 2, precision: 'bf16' },
  },
  'tp 2, two groups of experts on workers without a stage': {
    parallel: { tp: 2, dp: 1, ep: 2 },
    machines: [{ devices: ['cpu:0', 'cpu:1', 'cpu:2', 'cpu:3'] }],
    placement: { 'expert/*/ep0/*': 'localhost/cpu:2', 'expert/*/ep1/*': 'localhost/cpu:3' },
  },
  'tp 2 in four segments, pp 2': {
    parallel: { tp: 2, dp: 1, pp: 2 },
    train: { batch: 16, grains: 16, microbatches: 2, tensorSegments: 4 },
  },
  'dp 2, experts on two workers without a stage': {
    parallel: { dp: 2, ep: 2 },
    machines: [{ devices: ['cpu:0', 'cpu:1', 'cpu:2', 'cpu:3'] }],
    placement: { 'expert/*/ep0/*': 'localhost/cpu:2', 'expert/*/ep1/*': 'localhost/cpu:3' },
  },
  'pp 2, zero-bubble, four microbatches': {
    parallel: { pp: 2, dp: 1, pipeline: 'zero-bubble' },
    train: { batch: 16, grains: 16, microbatches: 4 },
  },
  'pp 2, dp 2, zero-bubble, layers computed again, bf16': {
    model: { ...model, qkNorm: 'head', moe: { ...model.moe, sharedExperts: 1 } },
    parallel: { pp: 2, dp: 2, pipeline: 'zero-bubble' },
    train: { batch: 16, grains: 16, microbatches: 4, precision: 'bf16', recompute: 'layer' },
  },
  'pp 2, tp 2 in four segments, zero-bubble': {
    parallel: { pp: 2, tp: 2, dp: 1, pipeline: 'zero-bubble' },
    train: { batch: 16, grains: 16, microbatches: 4, tensorSegments: 4 },
  },
  'pp 2, dp 2, ep 2, zero-bubble': {
    parallel: { pp: 2, dp: 2, ep: 2, pipeline: 'zero-bubble' },
    train: { batch: 16, grains: 16, microbatches: 4 },
  },
  'pp 2, dp 2, zero 2, zero-bubble': {
    parallel: { pp: 2, dp: 2, zero: 2, pipeline: 'zero-bubble' },
    train: { batch: 16, grains: 16, microbatches: 4 },
  },
  'layers computed again': {
    parallel: { dp: 2 },
    train: { batch: 16, grains: 16, microbatches: 2, recompute: 'layer' },
  },
  'one device, offload, buddies': {
    parallel: { dp: 1, offload: 'optimizer' },
    recovery: { buddies: true },
  },
  'two machines, offload, buddies': {
    machines: ['a', 'b'].map((host) => ({ host, devices: ['cpu:0', 'cpu:1'] })),
    parallel: { dp: 4, ep: 2, offload: 'optimizer' },
    recovery: { buddies: true },
  },
  'rows in bf16': { parallel: { dp: 4, ep: 4 }, wire: { dtype: 'bf16' } },
  'dp 4, ep 4, rows in four chunks': { parallel: { dp: 4, ep: 4 }, wire: { chunkBytes: 2 ** 15 } },
  'dp 4, ep 2, zero 3, bf16, rows in bf16 and in two chunks': {
    parallel: { dp: 4, ep: 2, zero: 3 },
    train: { batch: 16, grains: 16, precision: 'bf16' },
    wire: { dtype: 'bf16', chunkBytes: 2 ** 15 },
  },
  'experts choose, one device': {
    model: { ...model, moe: { ...model.moe, router: { kind: 'expert-choice', groupSequences: 4 } } },
  },
  'experts choose, dp 4, ep 2, zero 3, two microbatches, rows in two chunks': {
    model: { ...model, moe: { ...model.moe, router: { kind: 'expert-choice', groupSequences: 2 } } },
    parallel: { dp: 4, ep: 2, zero: 3 },
    train: { batch: 16, grains: 16, microbatches: 2 },
    wire: { chunkBytes: 2 ** 15 },
  },
  'experts choose, pp 2, dp 2, layers computed again, bf16': {
    model: { ...model, moe: { ...model.moe, router: { kind: 'expert-choice', groupSequences: 4 } } },
    parallel: { pp: 2, dp: 2 },
    train: { batch: 16, grains: 16, microbatches: 2, precision: 'bf16', recompute: 'layer' },
  },
  'experts choose among sequences of four replicas': {
    model: { ...model, moe: { ...model.moe, router: { kind: 'expert-choice', groupSequences: 16 } } },
    parallel: { dp: 4, ep: 4 },
  },
  'experts choose among sequences of two replicas, and of one and a half, tp 2': {
    model: { ...model, moe: { ...model.moe, router: { kind: 'expert-choice', groupSequences: 4 } } },
    parallel: { dp: 4, tp: 2, ep: 2 },
    train: { batch: 24, grains: 24 },
  },
  'experts choose among sequences of two replicas on two stages': {
    model: { ...model, moe: { ...model.moe, router: { kind: 'expert-choice', groupSequences: 4 } } },
    parallel: { pp: 2, dp: 2 },
    train: { batch: 16, grains: 16, microbatches: 4 },
  },
  'encoder, one device': { model: reading },
  'encoder, one device, sines as positions, tied head, bf16': {
    model: { ...reading, positions: 'sinusoidal', norm: 'layer', tiedHead: true },
    train: { batch: 16, grains: 16, precision: 'bf16', recompute: 'layer', microbatches: 2 },
  },
  'encoder, dp 4, ep 2, zero 3': { model: reading, parallel: { dp: 4, ep: 2, zero: 3 } },
  'encoder, pp 2': {
    model: reading,
    parallel: { pp: 2, dp: 1 },
    train: { batch: 16, grains: 16, microbatches: 4 },
  },
  'encoder, pp 2, stages that have both and the decoder alone, zero-bubble, layers computed again': {
    model: reading,
    parallel: { pp: 2, dp: 2, pipeline: 'zero-bubble', stages: [3, 1] },
    train: { batch: 16, grains: 16, microbatches: 2, recompute: 'layer' },
  },
  'encoder, pp 2, dp 2, ep 2, interleaved': {
    model: reading,
    parallel: { pp: 2, dp: 2, ep: 2, pipeline: 'interleaved' },
    train: { batch: 16, grains: 16, microbatches: 2 },
  },
  'encoder, tp 2, layers computed again, labels smoothed': {
    model: { ...reading, qkNorm: 'full' },
    parallel: { tp: 2, dp: 1 },
    train: { batch: 16, grains: 16, recompute: 'layer', labelSmoothing: 0.1 },
  },
  'encoder, tp 2, pp 2, dp 2, ep 2, whole experts': {
    model: reading,
    parallel: { tp: 2, pp: 2, dp: 2, ep: 2, expertsSliced: false },
    train: { batch: 16, grains: 16, microbatches: 2 },
  },
  'encoder, biases by distance, a stack a stage, dp 2, zero 3, bf16': {
    model: { ...reading, positions: 't5' },
    parallel: { pp: 2, dp: 2, zero: 3 },
    train: { batch: 16, grains: 16, microbatches: 2, precision: 'bf16' },
  },
  'encoder, biases by distance, tp 2': {
    model: { ...reading, positions: 't5' },
    parallel: { tp: 2, dp: 1 },
  },
  'encoder, dp 2, experts on two workers without a stage': {
    model: reading,
    parallel: { dp: 2, ep: 2 },
    machines: [{ devices: ['cpu:0', 'cpu:1', 'cpu:2', 'cpu:3'] }],
    placement: { 'expert/*/ep0/*': 'localhost/cpu:2', 'expert/*/ep1/*': 'localhost/cpu:3' },
  },
  'dp 2, ep 2, four microbatches, bf16': {
    parallel: { dp: 2, ep: 2 },
    train: { batch: 16, grains: 16, microbatches: 4, precision: 'bf16' },
  },
};

type Kind = Exclude<keyof TrafficBytes, 'total'>;

/** Which part of a plan a message is; none for those that a plan does not count. */
const kindOf: Readonly<Record<string, Kind>> = {
  'rows.dispatch': 'dispatch',
  'choice.candidates': 'dispatch',
  'choice.thresholds': 'dispatch',
  'rows.return': 'combine',
  'gradients.dispatch': 'backward',
  'gradients.return': 'backward',
  'gradient.add': 'gradients',
  'gradient.total': 'gradients',
  'weights.spread': 'weights',
  'weights.part': 'weights',
  'weights.bring': 'weights',
  'ward.sum': 'buddies',
  'peer.share': 'tensor',
  'hidden.ready': 'pipeline',
  'hidden.gradient': 'pipeline',
};

/** Runs two steps without arithmetic: what devices have allocated, and what one step sent by kind. */
async function ran(over: Partial<TopologyInput>) {
  const simulator = await openSimulator(resolved(over), { shapesOnly: true });
  const codec = createReferenceCodec();
  const run = async (steps: number) => {
    const sent: Partial<Record<Kind, number>> = {};
    const { memory, result } = await simulator.run(
      { seed: 1, steps, faults: [] },
      {
        alter: (packet) => {
          const { kind } = codec.decodeMessage(packet).message;
          const part = kindOf[kind];
          if (part !== undefined)
            sent[part] =
              (sent[part] ?? 0) + packet.frames.reduce((sum, { byteLength }) => sum + byteLength, 0);
          return packet;
        },
      },
    );
    return { memory, sent, result };
  };
  const [one, two] = [await run(1), await run(2)];
  return { ...two, sentIn: (kind: Kind) => (two.sent[kind] ?? 0) - (one.sent[kind] ?? 0) };
}

for (const [name, over] of Object.entries(mixtures)) {
  // What a launch refuses so far is compared from the day on which it does not.
  const runs = refuseUnbuilt(resolved(over), 'shapes').length === 0 ? test : test.skip;
  runs(`plan: ${name}: devices allocate what it says, and send it within a tenth`, async (t) => {
    const topology = resolved(over);
    const { parallel, train, wire } = topology;
    const { memory, traffic } = planTopology(topology);
    const run = await ran(over);
    t.is(run.result.exitCode, 0, run.result.error?.message);
    for (const [worker, { node, own }] of memory.entries()) {
      const { bytes = 0 } = run.memory[worker] ?? {};
      t.is(run.memory[worker]?.node, node);
      // Where several passes are with the experts of others, they are not always as many as there is room for; distinct rows are a mean.
      const isExact = parallel.ep === 1 || (train.microbatches === 1 && wire.dtype === 'f32');
      if (isExact) t.is(bytes, own.device, node);
      t.true(Math.abs(bytes - own.device) <= 0.05 * own.device, `${node}: ${bytes} for ${own.device}`);
    }
    const hosts = run.memory.slice(memory.length).reduce((sum, { bytes }) => sum + bytes, 0);
    t.is(
      hosts,
      memory.reduce((sum, { own }) => sum + own.host, 0),
      'bytes of hosts',
    );
    const workers = memory.length;
    for (const kind of new Set(Object.values(kindOf))) {
      const [planned, found] = [traffic.perDevice[kind] * workers, run.sentIn(kind)];
      const what = `${kind}: planned ${planned}, sent ${found}`;
      t.log(what);
      t.true(Math.abs(planned - found) <= 0.1 * found, what);
    }
  });
}
