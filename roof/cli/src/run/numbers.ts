const scaled = (value: number, base: number, units: readonly string[]): string => {
  let [rest, index] = [value, 0];
  while (rest >= base && index < units.length - 1) [rest, index] = [rest / base, index + 1];
  return `${index === 0 ? Math.round(rest) : rest.toPrecision(3)}${units[index] ?? ''}`;
};

/** 12345 → `12.3k`. */
export const count = (value: number): string => scaled(value, 1000, ['', 'k', 'M', 'G', 'T']);

/** 1536 → `1.50 KiB`. */
export const bytes = (value: number): string => scaled(value, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']);

/** Seconds as people say them: `4s`, `2m 10s`, `3h 5m`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  return `${Math.floor(whole / 3600)}h ${Math.floor((whole % 3600) / 60)}m`;
}

/** A share as `31.4%`; unknown as `-`. */
export const percent = (share: number | null): string =>
  share === null ? '-' : `${(100 * share).toFixed(1)}%`;

/** The same with its unit. */
export const natsAToken = (loss: number): string =>
  Number.isFinite(loss) ? `${nats(loss)} nats a token` : nats(loss);

/** A loss, nats a token; unknown as `-`, one whose sum is NaN or out of range as `overflow`. */
export const nats = (loss: number | null): string =>
  loss === null ? '-' : Number.isFinite(loss) ? loss.toFixed(4) : 'overflow';
