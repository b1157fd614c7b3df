/** What a memory formula depends on. */
export interface MemoryLayout {
  /** Parameters that are not routed experts. */
  readonly dense: number;
  /** Parameters of all routed experts together. */
  readonly expert: number;
  readonly dp: number;
  readonly ep: number;
  readonly tp: number;
  readonly zero: 0 | 1 | 2 | 3;
  readonly offload: 'none' | 'optimizer';
  /** False: the tensor axis slices only what is not an expert. Default true. */
  readonly expertsSliced?: boolean;
  /** Parameters of others of which this rank keeps a copy (a buddy). Default 0. */
  readonly copied?: number;
  /** Where copies are kept; default: on the device. */
  readonly copiesOn?: 'device' | 'host';
}

export interface MemoryBytes {
  /** Bytes on the device of one rank. */
  readonly device: number;
  /** Bytes of one rank in host memory. */
  readonly host: number;
}

/** Bytes of one rank by what they hold, on the device and in host memory together. */
export interface PapersMemory extends MemoryBytes {
  /** What products read. */
  readonly parameters: number;
  readonly gradients: number;
  /** The f32 copy that the optimizer updates; 0 where products read it itself. */
  readonly master: number;
  /** Adam's two. */
  readonly moments: number;
  /** Copies of what other ranks alone update: gradient, f32 weights and moments. */
  readonly buddies: number;
}

/** Bytes a parameter of what the literature counts: 16-bit training with an f32 Adam, and training in f32 alone. */
const accountings = {
  mixed: { parameters: 2, gradients: 2, master: 4, moments: 8 },
  f32: { parameters: 4, gradients: 4, master: 0, moments: 8 },
} as const;

/** How the literature counts a parameter: 2 + 2 + 4 + 8 bytes, or 4 + 4 + 8. */
export type Accounting = keyof typeof accountings;

/**
 * Memory of training as the papers count it: 16 bytes a parameter, what is sharded from which stage, and what an offloaded optimizer leaves
 * on the device.
 *
 * Activations, the gathered layer of stage 3 and the bucket of an offloaded gradient are not in it.
 *
 * @see Kim et al. 2021, arXiv:2109.10465; Rajbhandari et al. 2020, arXiv:1910.02054, §5
 */
export function papersMemory(layout: MemoryLayout, accounting: Accounting = 'mixed'): PapersMemory {
  const bytes = accountings[accounting];
  const { dp, ep, tp, zero, expertsSliced } = layout;
  const dense = layout.dense / tp;
  const expert = layout.expert / ep / (expertsSliced === false ? 1 : tp);
  const [local, owned] = [dense + expert, dense / dp + expert / (dp / ep)];
  const part = (each: number, shardedFrom: number): number => each * (zero >= shardedFrom ? owned : local);
  const parameters = part(bytes.parameters, 3);
  // What is updated in f32: the master, or what products read itself.
  const copy = bytes.gradients + (bytes.master === 0 ? bytes.parameters : bytes.master) + bytes.moments;
  const buddies = copy * (layout.copied ?? 0);
  const [onDevice, inHost] = layout.copiesOn === 'host' ? [0, buddies] : [buddies, 0];
  if (layout.offload === 'optimizer') {
    const [gradients, master, moments] = [
      bytes.gradients * owned,
      bytes.master * owned,
      bytes.moments * owned,
    ];
    return {
      parameters,
      gradients,
      master,
      moments,
      buddies,
      device: parameters + onDevice,
      host: gradients + master + moments + inHost,
    };
  }
  const gradients = part(bytes.gradients, 2);
  const [master, moments] = [part(bytes.master, 1), part(bytes.moments, 1)];
  return {
    parameters,
    gradients,
    master,
    moments,
    buddies,
    device: parameters + gradients + master + moments + onDevice,
    host: inHost,
  };
}

/** Bytes of an element of the gradients that `holders` ranks add to in so many kernel calls each: an exact int64 sum, or f32 where one call finishes it. */
export const gradientBytes = (holders: number, calls: number): 4 | 8 =>
  holders === 1 && calls === 1 ? 4 : 8;
