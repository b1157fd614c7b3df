import { muonWork } from '@troupe/kernel-set';
import type { BufferKind, BufferRule } from './buffer-rule.ts';
import type { ElementRange } from './exchange.ts';
import { isPositionTable, type FlatLayout, type Parameter, type Unit } from './parameters.ts';

/** Optimizers that a run may have. */
export const optimizerKinds = ['adamw', 'sgd', 'adafactor', 'muon'] as const;
export type OptimizerKind = (typeof optimizerKinds)[number];

/** How one tensor is updated; `none`: not at all (padding). Of a buffer, which no optimizer updates, nothing is kept. */
export type UpdateKind = OptimizerKind | BufferKind | 'none';

/** What optimizers keep, by the names under which checkpoints have it. */
export const stateNames = [
  'adam-m',
  'adam-v',
  'sgd-v',
  'muon-m',
  'adafactor-row',
  'adafactor-col',
  'adafactor-v',
] as const;
export type StateName = (typeof stateNames)[number];

/** A tensor of an optimizer's state. */
export interface StateTensor {
  readonly name: StateName;
  readonly shape: readonly number[];
}

/** What is kept of a tensor: in the first array of a shard, and in the second one; null: nothing there. */
export type TensorState = readonly [StateTensor | null, StateTensor | null];

/** A router's table: a product as well, but one whose rows compete, so that Muon leaves it to AdamW. */
const isRouter = ({ id, layer }: Pick<Unit, 'id' | 'layer'>): boolean => id === `L${layer}/gate`;

/**
 * How an optimizer updates a tensor. Muon is for the matrices of blocks; the embedding, the head, routers, norms, biases and tables of
 * them have AdamW.
 *
 * @see Jordan et al. 2024, Muon; Liu et al. 2025, arXiv:2502.16982 (Moonlight)
 */
export function updateOf(
  optimizer: OptimizerKind,
  unit: Pick<Unit, 'id' | 'layer' | 'buffer'>,
  { shape }: Pick<Parameter, 'shape'>,
): UpdateKind {
  if (unit.buffer !== null) return unit.buffer.kind;
  if (optimizer !== 'muon') return optimizer;
  const isTable = isRouter(unit) || isPositionTable(unit);
  return unit.layer !== null && shape.length === 2 && !isTable ? 'muon' : 'adamw';
}

/** What is kept of every element of a tensor. */
const keptNames: Readonly<Record<UpdateKind, readonly [StateName | null, StateName | null]>> = {
  none: [null, null],
  bias: [null, null],
  threshold: [null, null],
  adamw: ['adam-m', 'adam-v'],
  sgd: ['sgd-v', null],
  muon: ['muon-m', null],
  adafactor: ['adafactor-v', null],
};

/** The state of one tensor, as checkpoints name it; of a matrix Adafactor keeps two vectors. */
export function stateOf(update: UpdateKind, shape: readonly number[]): TensorState {
  if (update === 'adafactor' && shape.length === 2) {
    const [rows = 1, columns = 1] = shape;
    return [
      { name: 'adafactor-row', shape: [rows] },
      { name: 'adafactor-col', shape: [columns] },
    ];
  }
  const [first, second] = keptNames[update];
  return [first === null ? null : { name: first, shape }, second === null ? null : { name: second, shape }];
}

/** Whether an update needs the whole tensor: then it is divided among nobody. */
const needsWhole = (update: UpdateKind): boolean => update === 'muon' || update === 'adafactor';

/** Optimizers that need some tensors whole. */
export const hasWholeTensors = (optimizer: OptimizerKind): boolean => needsWhole(optimizer);

/**
 * What a step costs of an update, in FLOPs, to divide tensors evenly: Newton-Schulz is cubic in the smaller side, everything else linear.
 */
function costOf(update: UpdateKind, { shape, size }: Parameter): number {
  if (update !== 'muon') return update === 'none' ? 0 : size;
  const [rows = 1, columns = 1] = shape;
  const [small, large] = [Math.min(rows, columns), Math.max(rows, columns)];
  return 4 * small ** 2 * large + 2 * small ** 3;
}

/** The same of a unit, which has one owner. */
export const unitCost = (optimizer: OptimizerKind, unit: Unit): number =>
  unit.parameters.reduce((sum, each) => sum + costOf(updateOf(optimizer, unit, each), each), 0);

/** Consecutive elements of a group's buffer that are updated alike: any run of them, or (`whole`) one tensor that is not divided. */
export interface UpdatePart extends ElementRange {
  readonly update: UpdateKind;
  /** Of a tensor that is not divided: its shape; null: every element is updated by itself. */
  readonly whole: readonly number[] | null;
  /** The rule of a buffer; null: an optimizer updates it. */
  readonly buffer: BufferRule | null;
  /** Where its state begins in each of the two arrays of the group, and its elements there. */
  readonly starts: readonly [number, number];
  readonly sizes: readonly [number, number];
}

/** The two arrays of state that a shard keeps beside its weights. */
export type StateArray = 0 | 1;

/**
 * Where the state of a group's elements lies: two arrays beside the buffer of its weights, in the same order.
 *
 * OPS-1: an array that has as many values of a part as the part has elements has one an element. OPS-2: what else it has of a tensor goes
 * with the first element of that; so any cut of the buffer cuts the arrays too, and ranges that follow each other have states that do.
 */
export class OptimizerState {
  readonly parts: readonly UpdatePart[];
  /** Elements of the two arrays, for the whole group. */
  readonly lengths: readonly [number, number];

  constructor(flat: FlatLayout, optimizer: OptimizerKind) {
    const parts: UpdatePart[] = [];
    const ends: [number, number] = [0, 0];
    for (const part of partsOf(flat, optimizer)) {
      const last = parts.at(-1);
      const starts = [...ends] as const satisfies readonly [number, number];
      ends[0] += part.sizes[0];
      ends[1] += part.sizes[1];
      if (last?.whole === null && part.whole === null && last.update === part.update)
        parts[parts.length - 1] = {
          ...last,
          to: part.to,
          sizes: [last.sizes[0] + part.sizes[0], last.sizes[1] + part.sizes[1]],
        };
      else parts.push({ ...part, starts });
    }
    this.parts = parts;
    this.lengths = ends;
  }

  /** Where the state of elements [from, to) lies in an array. */
  rangeIn(array: StateArray, { from, to }: ElementRange): ElementRange {
    return { from: this.#placeIn(array, from), to: this.#placeIn(array, to) };
  }

  /** The parts that have elements of [from, to), cut to these; the state of a tensor that is not divided stays as it is. */
  within({ from, to }: ElementRange): readonly UpdatePart[] {
    const found: UpdatePart[] = [];
    for (let index = this.#indexOf(from); index < this.parts.length; index++) {
      const part = this.parts[index];
      if (part === undefined || part.from >= to) break;
      const [first, end] = [Math.max(from, part.from), Math.min(to, part.to)];
      if (first < end) found.push({ ...part, from: first, to: end });
    }
    return found;
  }

  /** Elements of the largest tensors that are not divided, among those of a range: what their updates need room for. */
  workOf(range: ElementRange): number {
    return this.within(range).reduce((most, { update, whole }) => Math.max(most, workOf(update, whole)), 0);
  }

  /** The last part that begins at or before an element. */
  #indexOf(element: number): number {
    let [low, high] = [0, this.parts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.parts[middle]?.from ?? 0) <= element) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }

  #placeIn(array: StateArray, element: number): number {
    const part = this.parts[this.#indexOf(element)];
    if (part === undefined) return 0;
    const [start, size] = [part.starts[array], part.sizes[array]];
    if (element <= part.from || size === 0) return start;
    return size === part.to - part.from ? start + Math.min(size, element - part.from) : start + size;
  }
}

/** Floats that an update of a tensor works in. */
function workOf(update: UpdateKind, whole: readonly number[] | null): number {
  if (whole === null) return 0;
  const size = whole.reduce((product, each) => product * each, 1);
  const [rows = 1, columns = 1] = whole;
  return update === 'muon' ? muonWork(rows, columns) : size;
}

/** Units that are updated element by element as one run, padding included; else tensor by tensor, and padding by nobody. */
function* partsOf(
  { units, starts }: FlatLayout,
  optimizer: OptimizerKind,
): Generator<Omit<UpdatePart, 'starts'>> {
  for (const [index, unit] of units.entries()) {
    const start = starts[index] ?? 0;
    const updates = unit.parameters.map((each) => updateOf(optimizer, unit, each));
    const [first] = updates;
    const whole = { from: start, to: start + unit.paddedSize };
    if (first !== undefined && !updates.some((each) => each !== first || needsWhole(each))) {
      const { buffer } = unit;
      yield { ...whole, update: first, whole: null, buffer, sizes: sizesOf(first, [unit.paddedSize]) };
      continue;
    }
    for (const [at, { offset, size, shape }] of unit.parameters.entries()) {
      const update = updates[at] ?? 'none';
      const from = start + offset;
      yield {
        from,
        to: from + size,
        update,
        whole: needsWhole(update) ? shape : null,
        buffer: null,
        sizes: sizesOf(update, shape),
      };
    }
    if (unit.size < unit.paddedSize)
      yield {
        from: start + unit.size,
        to: whole.to,
        update: 'none',
        whole: null,
        buffer: null,
        sizes: [0, 0],
      };
  }
}

const sizesOf = (update: UpdateKind, shape: readonly number[]): readonly [number, number] => {
  const [first, second] = stateOf(update, shape).map(
    (each) => each?.shape.reduce((product, length) => product * length, 1) ?? 0,
  );
  return [first ?? 0, second ?? 0];
};
