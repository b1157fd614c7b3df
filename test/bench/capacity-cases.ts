import type { TopologyInput } from '@troupe/topology';

/** A way to divide a model over devices, as the paper names it. */
export interface CapacityMixture {
  readonly name: string;
  readonly parallel: NonNullable<TopologyInput['parallel']>;
}

/** Models of one kind, by how large they are. */
export interface ModelFamily {
  readonly text: string;
  model(size: number): TopologyInput['model'];
}

export interface CapacityCase {
  readonly devices: number;
  readonly mixture: CapacityMixture;
  readonly family: ModelFamily;
}

/** One model, and clusters that may hold it. */
export interface SameModelCase {
  /** Whose largest model it is. */
  readonly of: CapacityCase;
  /** Smaller clusters with another mixture, the smallest one first, each with the size that is the same model there. */
  readonly on: (size: number) => readonly { readonly case: CapacityCase; readonly size: number }[];
}

const perMachine = 8;

/** Host memory of a machine with eight A100s, bytes. */
export const HOST_BYTES = 1e12;

/** Layers as wide as those of a large model, every second one with experts, of which each group has k. */
export const expertFamily = ({
  layers,
  ep,
}: {
  readonly layers: number;
  readonly ep: number;
}): ModelFamily => ({
  text: `${layers} layers of width 4,096, every second one with experts of width 8,192, k in each of ${ep} groups`,
  model: (size) => ({
    vocab: 32_000,
    layers,
    dModel: 4096,
    heads: 32,
    seqLen: 512,
    ffn: { kind: 'gelu', dFf: 16_384 },
    moe: { every: 2, experts: ep * size, topK: 2, granularity: 2 },
  }),
});

/** Layers of one width, as many as fit. */
export const denseFamily: ModelFamily = {
  text: 'k layers of width 2,048 without experts',
  model: (size) => ({
    vocab: 32_000,
    layers: size,
    dModel: 2048,
    heads: 16,
    seqLen: 512,
    ffn: { kind: 'gelu', dFf: 8192 },
    moe: null,
  }),
};

/** A cluster of A100s with 40 GB, eight a machine: NVLink inside, a 200 Gb/s port for each device between machines. */
export function capacityDocument(
  { devices, mixture, family }: CapacityCase,
  size: number,
): Readonly<Record<string, unknown>> {
  const each = Math.min(perMachine, devices);
  return {
    name: 'capacity',
    model: family.model(size),
    data: { synthetic: 'zipf', holdout: 0 },
    train: { steps: 3, batch: devices, grains: devices, precision: 'bf16' },
    parallel: mixture.parallel,
    machines: Array.from({ length: devices / each }, (_, machine) => ({
      host: `host${machine}`,
      devices: Array.from({ length: each }, (__, index) => `cuda:${index}`),
      speed: 'a100-40gb',
    })),
    links: {
      inside: { latencyMs: 0.01, bandwidthGBps: 300 },
      between: { latencyMs: 0.02, bandwidthGBps: 25 },
    },
    // Rows of a microbatch go at once: eight times fewer messages, and an expert's gradient is made by one call.
    wire: { chunkBytes: 2 ** 30 },
    checkpoint: { every: 0 },
    eval: { every: 0 },
  };
}

/** Rows of the paper's table, and what it says of them; parameters in 10^9. */
export interface PublishedCase extends CapacityCase {
  /** As arXiv:2109.10465 reports; null: it does not. */
  readonly published: number | null;
}

const mixtures = {
  'E+D': (devices: number) => ({ dp: devices, ep: devices, zero: 0 }),
  'E+Z': (devices: number) => ({ dp: devices, ep: devices, zero: 2 }),
  'E+Z-Off': (devices: number) => ({ dp: devices, ep: devices, zero: 2, offload: 'optimizer' }),
  'E+D+M': (devices: number) => ({ dp: devices / 8, ep: devices / 8, tp: 8, zero: 0 }),
  'E+Z-Off+M': (devices: number) => ({
    dp: devices / 8,
    ep: devices / 8,
    tp: 8,
    zero: 2,
    offload: 'optimizer',
  }),
} as const satisfies Readonly<Record<string, (devices: number) => CapacityMixture['parallel']>>;

const caseOf = (
  devices: number,
  name: keyof typeof mixtures,
  published: number | null = null,
): PublishedCase => ({
  devices,
  mixture: { name, parallel: mixtures[name](devices) },
  family: expertFamily({ layers: 12, ep: mixtures[name](devices).ep }),
  published,
});

const alone = (name: string, offload: 'none' | 'optimizer', published: number): PublishedCase => ({
  devices: 1,
  mixture: { name, parallel: { dp: 1, offload } },
  family: denseFamily,
  published,
});

/** Messages of rows that one step of a cluster sends: from every gate to every group of experts, there and back, in both directions. */
export function rowMessages({ mixture, family }: CapacityCase): number {
  const { dp, ep, tp = 1 } = mixture.parallel;
  const { layers = 0, moe } = family.model(1);
  const every = typeof moe?.every === 'number' ? moe.every : layers;
  return 4 * Number(dp) * (ep ?? 1) * tp * Math.floor(layers / every);
}

const smallPair: PublishedCase = { ...caseOf(2, 'E+D'), family: expertFamily({ layers: 2, ep: 2 }) };

/** What the capacity page shows. `small`: what a test runs. */
export const capacityCases: Readonly<Record<'small' | 'full', readonly PublishedCase[]>> = {
  small: [smallPair, alone('D', 'none', 1.4)],
  full: [
    alone('D', 'none', 1.4),
    alone('Z-Off', 'optimizer', 15),
    caseOf(64, 'E+D'),
    caseOf(64, 'E+Z'),
    caseOf(64, 'E+Z-Off'),
    caseOf(64, 'E+D+M'),
    caseOf(64, 'E+Z-Off+M', 400),
    caseOf(512, 'E+D'),
    caseOf(512, 'E+Z'),
    caseOf(512, 'E+Z-Off'),
    caseOf(512, 'E+D+M', 400),
    caseOf(512, 'E+Z-Off+M', 3500),
  ],
};

/** The model of a case on a smaller cluster: each of its groups has so many times the experts. */
const smaller = (of: CapacityCase, devices: number, name: keyof typeof mixtures) => {
  const { layers = 0 } = of.family.model(1);
  const { ep } = mixtures[name](devices);
  return (size: number) => ({
    case: {
      devices,
      mixture: { name, parallel: mixtures[name](devices) },
      family: expertFamily({ layers, ep }),
    },
    size: (size * Number(of.mixture.parallel.ep)) / ep,
  });
};

/** Which model is looked for on fewer devices. */
export const sameModel: Readonly<Record<'small' | 'full', SameModelCase>> = {
  small: { of: smallPair, on: (size) => [smaller(smallPair, 1, 'E+Z-Off')(size)] },
  full: {
    of: caseOf(512, 'E+D+M'),
    on: (size) => [64, 128, 256].map((devices) => smaller(caseOf(512, 'E+D+M'), devices, 'E+Z-Off+M')(size)),
  },
};

/** Clusters of one throughput curve, each with as many experts a device. */
export const weakCases = (size: 'small' | 'full'): readonly CapacityCase[] =>
  (size === 'small' ? [2, 4] : [8, 64, 512]).map((devices) => ({
    ...caseOf(devices, 'E+D'),
    family: expertFamily({ layers: 2, ep: devices }),
  }));

/** Experts a device of the throughput curve. */
export const WEAK_SIZE = 3;
