const scale = (value: number, units: readonly string[], base: number): string => {
  let [scaled, index] = [value, 0];
  while (scaled >= base && index < units.length - 1) [scaled, index] = [scaled / base, index + 1];
  const digits = index === 0 || scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2;
  return `${scaled.toFixed(digits)} ${units[index] ?? ''}`.trimEnd();
};

/** 1536 → `1.50 KiB`. */
export const formatBytes = (bytes: number): string =>
  scale(bytes, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], 1024);

/** 1.2e9 → `1.20 G`. */
export const formatCount = (n: number): string => scale(n, ['', 'K', 'M', 'G', 'T', 'P', 'E'], 1000);

/** Columns as wide as their widest cell; numbers (all but the first columns named left) to the right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  numLeft: number,
): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, c) => (c < numLeft ? cell.padEnd(widths[c] ?? 0) : cell.padStart(widths[c] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `  ${line}`)
    .join('\n');
}
