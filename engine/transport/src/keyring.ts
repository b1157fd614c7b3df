import { createHmac, createPrivateKey, createPublicKey, diffieHellman, timingSafeEqual } from 'node:crypto';
import type { NodeId } from '@troupe/core';
import type { CurveKeys } from './curve-keys.ts';
import { bytesOfKey } from './z85.ts';

/** Bytes that a hello ends with where keys are used. */
export const proofBytes = 32;

/** Most names that are remembered with the key they were first heard under; more are not heard. */
const namesMax = 65_536;

/**
 * Which key belongs to which node, and the proof of it.
 *
 * ZeroMQ proves that whoever connects has one of the keys that are let in, but does not say by which connection a message came. So each
 * hello carries a code that only its sender and this node can compute: both have the product of one's secret and the other's public
 * key. What follows in the session names its token, which only these two know.
 */
export class Keyring {
  readonly #keys: CurveKeys;
  /** Keys that speak for nodes that `nodes` lacks. */
  readonly #general: ReadonlySet<string>;
  /** Of such nodes, the key that each was first heard under. */
  readonly #first = new Map<NodeId, string>();
  readonly #products = new Map<string, Buffer>();

  constructor(keys: CurveKeys) {
    this.#keys = keys;
    const { serverPublic = keys.public, authorized = [] } = keys;
    this.#general = new Set([keys.public, serverPublic, ...authorized]);
  }

  get public(): string {
    return this.#keys.public;
  }

  /** Who may finish a handshake. */
  admits(key: string): boolean {
    if (this.#general.has(key)) return true;
    for (const each of this.#keys.nodes?.values() ?? []) if (each === key) return true;
    return false;
  }

  /** Under which key a node is called; undefined: it must not be. */
  keyOf(node: NodeId): string | undefined {
    return this.#keys.nodes?.get(node) ?? this.#first.get(node) ?? this.#keys.serverPublic;
  }

  /** Whether a node may speak under a key that it has proved to have. */
  accepts(node: NodeId, key: string): boolean {
    const own = this.#keys.nodes?.get(node);
    if (own !== undefined) return own === key;
    if (!this.#general.has(key)) return false;
    const first = this.#first.get(node);
    if (first !== undefined) return first === key;
    if (this.#first.size >= namesMax) return false;
    this.#first.set(node, key);
    return true;
  }

  /** What proves to the holder of `to` that the holder of this node's secret wrote `message`. */
  proof(message: Uint8Array, to: string): Buffer {
    return createHmac('sha256', this.#product(to)).update('troupe hello').update(message).digest();
  }

  isProof(proof: Uint8Array, message: Uint8Array, from: string): boolean {
    if (proof.byteLength !== proofBytes || !this.admits(from)) return false;
    return timingSafeEqual(proof, this.proof(message, from));
  }

  #product(key: string): Buffer {
    let product = this.#products.get(key);
    if (product === undefined) {
      const own = { x: base64(this.#keys.public), d: base64(this.#keys.secret) };
      product = diffieHellman({
        privateKey: createPrivateKey({ key: { ...curve, ...own }, format: 'jwk' }),
        publicKey: createPublicKey({ key: { ...curve, x: base64(key) }, format: 'jwk' }),
      });
      this.#products.set(key, product);
    }
    return product;
  }
}

/** CURVE's keys are those of X25519. */
const curve = { kty: 'OKP', crv: 'X25519' } as const;
const base64 = (key: string): string => bytesOfKey(key).toString('base64url');
