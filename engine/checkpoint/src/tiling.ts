/** The pieces of one tensor that have come: refuses overlaps, knows gaps. Positions in elements. */
export class Tiling {
  readonly size: number;
  /** Covered stretches, in order, neither touching nor overlapping. */
  readonly #stretches: { start: number; end: number }[] = [];

  constructor(size: number) {
    this.size = size;
  }

  /** @returns false, and changes nothing, when elements of [start, end) are there already */
  add(start: number, end: number): boolean {
    const at = this.#stretches.findIndex((stretch) => stretch.end >= start);
    const index = at < 0 ? this.#stretches.length : at;
    const before = this.#stretches[index];
    if (before !== undefined && before.end === start) {
      const after = this.#stretches[index + 1];
      if (after !== undefined && after.start < end) return false;
      before.end = end;
      if (after?.start === end) {
        before.end = after.end;
        this.#stretches.splice(index + 1, 1);
      }
      return true;
    }
    if (before !== undefined && before.start < end) return false;
    if (before?.start === end) before.start = start;
    else this.#stretches.splice(index, 0, { start, end });
    return true;
  }

  /** First stretch that has not come, or null. */
  get gap(): { readonly start: number; readonly end: number } | null {
    if (this.size === 0) return null;
    const [first, second] = this.#stretches;
    if (first === undefined) return { start: 0, end: this.size };
    if (first.start > 0) return { start: 0, end: first.start };
    return first.end === this.size ? null : { start: first.end, end: second?.start ?? this.size };
  }
}
