/** Copies between row-major arrays and their transposes; the products want one operand of each kind. */
import { assert } from '@troupe/core';
import type { Floats, Halves, HalfRows, Rows } from '../on-host.ts';
import { rowsLayout } from '../reference/argument-check.ts';

/** Rows are taken in strips of this many, so that a strip's cache lines stay near while its columns are walked. */
const STRIP = 16;

/** A dense or strided matrix inside a larger array: element (r, c) at `at + r·stride + c`. */
export interface Block {
  readonly data: Floats;
  readonly at: number;
  readonly stride: number;
}

/** What the checks of a list leave: bf16 storage comes with precision bf16 only, which this body refuses. */
export function asFloats(array: Floats | Halves): Floats {
  assert(!(array instanceof Uint16Array), 'bf16 storage is refused before a list runs');
  return array;
}

/** Rows `first` … of a call's matrix as a block. */
export function blockOf(rows: Rows | HalfRows, rowLength: number, first = 0): Block {
  const { offset, stride } = rowsLayout(rows, rowLength);
  return { data: asFloats(rows.data), at: offset + first * stride, stride };
}

/** to = from, `rows` × `columns`. */
export function copyBlock(from: Block, to: Block, rows: number, columns: number): void {
  if (from.stride === columns && to.stride === columns) {
    to.data.set(from.data.subarray(from.at, from.at + rows * columns), to.at);
    return;
  }
  const [source, target] = [from.data, to.data];
  for (let r = 0; r < rows; r++) {
    const fromAt = from.at + r * from.stride;
    const toAt = to.at + r * to.stride;
    for (let c = 0; c < columns; c++) target[toAt + c] = source[fromAt + c]!;
  }
}

/** to[c, r] = from[r, c] for `rows` × `columns` of `from`. */
export function transposeBlock(from: Block, to: Block, rows: number, columns: number): void {
  const [source, target] = [from.data, to.data];
  const [fromStride, toStride] = [from.stride, to.stride];
  for (let strip = 0; strip < rows; strip += STRIP) {
    const end = Math.min(strip + STRIP, rows);
    for (let c = 0; c < columns; c++) {
      let fromAt = from.at + strip * fromStride + c;
      const toAt = to.at + c * toStride;
      for (let r = strip; r < end; r++) {
        target[toAt + r] = source[fromAt]!;
        fromAt += fromStride;
      }
    }
  }
}

/** to[r, c] = start[r, c] + from[r, c]; `start` may be `to`. */
export function addBlock(start: Block, from: Block, to: Block, rows: number, columns: number): void {
  for (let r = 0; r < rows; r++) {
    const startAt = start.at + r * start.stride;
    const fromAt = from.at + r * from.stride;
    const toAt = to.at + r * to.stride;
    for (let c = 0; c < columns; c++) to.data[toAt + c] = start.data[startAt + c]! + from.data[fromAt + c]!;
  }
}

/** to[r, c] = start[r, c] + from[c, r] for `rows` × `columns` of `to`. */
export function addTransposed(start: Block, from: Block, to: Block, rows: number, columns: number): void {
  for (let strip = 0; strip < columns; strip += STRIP) {
    const end = Math.min(strip + STRIP, columns);
    for (let r = 0; r < rows; r++) {
      const startAt = start.at + r * start.stride;
      const toAt = to.at + r * to.stride;
      for (let c = strip; c < end; c++)
        to.data[toAt + c] = start.data[startAt + c]! + from.data[from.at + c * from.stride + r]!;
    }
  }
}

/** Row i of `to` is row `index[i]` of `from`. */
export function gatherRows(from: Floats, index: Int32Array, dim: number, to: Floats): void {
  for (let i = 0; i < index.length; i++) {
    const fromAt = index[i]! * dim;
    for (let d = 0; d < dim; d++) to[i * dim + d] = from[fromAt + d]!;
  }
}

/**
 * The same rows as columns: to[d, i] = scale[i]·from[index[i], d], scale absent: 1.
 *
 * @param to - block of [dim, index.length]
 * @param scale - from `scaleAt` on
 */
export function gatherColumns(
  from: Floats,
  index: Int32Array,
  dim: number,
  to: Block,
  scale?: Floats,
  scaleAt = 0,
): void {
  const target = to.data;
  for (let strip = 0; strip < index.length; strip += STRIP) {
    const end = Math.min(strip + STRIP, index.length);
    for (let d = 0; d < dim; d++) {
      const toAt = to.at + d * to.stride;
      if (scale === undefined)
        for (let i = strip; i < end; i++) target[toAt + i] = from[index[i]! * dim + d]!;
      else
        for (let i = strip; i < end; i++) target[toAt + i] = scale[scaleAt + i]! * from[index[i]! * dim + d]!;
    }
  }
}
