const units: readonly (readonly [number, string])[] = [
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'k'],
];

/** 28940000000 → `28.9B`: three digits, as flags take them back. */
export function figure(value: number): string {
  const [size, unit] = units.find(([least]) => value >= least * 0.9995) ?? [1, ''];
  return unit === '' ? String(Math.round(value)) : `${(value / size).toPrecision(3)}${unit}`;
}
