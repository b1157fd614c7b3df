import type { HostFloats } from '@troupe/core';
import { blocksOfPart, denseUnits, expertUnits, moeLayers, type PartBlock, type Unit } from '@troupe/spec';
import type { ResolvedTopology } from '@troupe/topology';
import type { ClusterOptions } from 'troupe';

export type Workers = Parameters<NonNullable<ClusterOptions['onMounted']>>[0];

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** The bf16 nearest to a weight, ties to even; weights are ordinary numbers. */
function bf16Bits(x: number): number {
  single[0] = x;
  const [bits = 0] = word;
  return (bits & 0x7f_80_00_00) === 0
    ? (bits >>> 16) & 0x80_00
    : (bits + 0x7f_ff + ((bits >>> 16) & 1)) >>> 16;
}

/** A parameter as it comes together from those that hold it. */
class Whole {
  readonly name: string;
  readonly values: HostFloats;
  readonly #isKnown: Uint8Array;

  constructor({ name, size }: { readonly name: string; readonly size: number }, isWide: boolean) {
    this.name = name;
    this.values = isWide ? new Float64Array(size) : new Float32Array(size);
    this.#isKnown = new Uint8Array(size);
  }

  /** Takes elements [first, …) of a block, which must be what others hold. */
  put(block: PartBlock, first: number, read: HostFloats): void {
    for (const [index, value] of read.entries()) {
      const at = indexOf(block, first + index);
      if (this.#isKnown[at] === 1 && !Object.is(this.values[at], value))
        throw new Error(`two workers hold another ${this.name}`);
      this.#isKnown[at] = 1;
      this.values[at] = value;
    }
  }

  /** What readers of a block hold is this, or this rounded. */
  isReadAs(block: PartBlock, read: HostFloats | Uint16Array): boolean {
    const rounds = read instanceof Uint16Array;
    return read.every((value, index) => {
      const own = this.values[indexOf(block, index)] ?? Number.NaN;
      return Object.is(value, rounds ? bf16Bits(own) : own);
    });
  }

  get isWhole(): boolean {
    return this.#isKnown.every((each) => each === 1);
  }
}

const indexOf = ({ firstIndex, rowLength, rowStride }: PartBlock, element: number): number =>
  firstIndex + Math.floor(element / rowLength) * rowStride + (element % rowLength);

/**
 * Every parameter of the model from the shards that hold it, in the model's own order; all holders must agree on every bit, and so must
 * those who read them.
 */
export function finalParameters(
  workers: Workers,
  { model }: ResolvedTopology,
  version: number,
): ReadonlyMap<string, HostFloats> {
  const units: readonly Unit[] = [
    ...denseUnits(model),
    ...moeLayers(model).flatMap((layer) => expertUnits(model, layer)),
  ];
  const isWide = workers.some(({ worker }) => worker.device.info.dtype === 'f64');
  const wholes = new Map(
    units.flatMap((unit) => unit.parameters.map((each) => [each.name, new Whole(each, isWide)] as const)),
  );
  for (const { worker, shards } of workers)
    for (const { shard, weights } of shards)
      for (const { name, block, flat } of shard.pieces(weights.owns))
        for (const { from, values } of weights.slices(flat, version))
          wholes.get(name)?.put(block, from - flat.from, worker.device.read(values));
  readersAgree(workers, wholes, version);
  for (const { name, isWhole } of wholes.values())
    if (!isWhole) throw new Error(`no worker holds all of ${name}`);
  return new Map([...wholes].map(([name, { values }]) => [name, values]));
}

/** What stages and experts read are the weights of the shards, rounded where they are held so. */
function readersAgree(workers: Workers, wholes: ReadonlyMap<string, Whole>, version: number): void {
  for (const { worker, buffers } of workers)
    for (const { group, weights } of buffers) {
      // What is gathered was read segment by segment, and is there no longer.
      if (weights.kind === 'gathered') continue;
      const { units, starts } = group.flat;
      for (const [index, seat] of units.entries())
        for (const parameter of worker.seats.unitAt(seat).parameters) {
          const first = (starts[index] ?? 0) + parameter.offset;
          for (const block of blocksOfPart(parameter, { from: 0, to: parameter.size })) {
            const from = first + block.at;
            const [slice] = weights.at(version).slices(from, from + block.rows * block.rowLength);
            const isRight =
              slice !== undefined &&
              wholes.get(parameter.name)?.isReadAs(block, worker.device.read<'f32' | 'bf16'>(slice.values));
            if (!isRight) throw new Error(`worker ${worker.rank} reads another ${parameter.name}`);
          }
        }
    }
}
