/**
 * How an agent that something else has started, and its lead, know each other: TLS with a key that both derive from the run's.
 *
 * TLS 1.2, because there the lead can name the meeting that the key is for (`pskIdentityHint`); with an exchange of Diffie–Hellman keys, so
 * that who learns the run's key later reads nothing that was recorded. No certificate is involved: a lead without the key cannot answer.
 */
export const dialTls = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const;

/** What a machine calls itself in the handshake, where its key proves it. */
export const identityOf = (machine: number): string => `troupe-1 machine ${machine}`;

/** null: that is no machine. */
export function machineOfIdentity(identity: string): number | null {
  const [, digits] = /^troupe-1 machine (0|[1-9]\d{0,4})$/u.exec(identity) ?? [];
  return digits === undefined ? null : Number(digits);
}

/** Milliseconds for a handshake and the first line behind it. */
export const HANDSHAKE_MS = 5000;
