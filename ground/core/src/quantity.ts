const multiples: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, B: 1e9, T: 1e12 };

/** A number > 0 as people write large ones: `1e20`, `100M`, `2.5B`; null: it is none. */
export function quantityOf(text: string): number | null {
  const unit = multiples[text.at(-1) ?? ''];
  const digits = unit === undefined ? text : text.slice(0, -1);
  const value = Number(digits) * (unit ?? 1);
  return digits.trim() === '' || !Number.isFinite(value) || value <= 0 ? null : value;
}
