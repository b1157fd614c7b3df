import { CheckpointUnsupportedError } from './errors.ts';
import type { HuggingFaceClass } from './hugging-face-class.ts';
import { shownJson } from './json-text.ts';

export type Json = Readonly<Record<string, unknown>>;

/** Largest count of anything: sizes of topologies end there too. */
const COUNT_MAX = 2 ** 31 - 1;

/**
 * Reads the keys of one config.json, and refuses by name.
 *
 * An absent key has the value of its class. null is a value: Transformers takes it where the class allows it, and so do we.
 */
export class ConfigKeys {
  readonly where: string;
  readonly #json: Json;
  readonly #of: HuggingFaceClass;

  constructor(where: string, json: Json, of: HuggingFaceClass) {
    this.where = where;
    this.#json = json;
    this.#of = of;
  }

  /** Whether the class has the key; Transformers reads past those that it does not have. */
  has(name: string): boolean {
    return Object.hasOwn(this.#of.defaults, name);
  }

  /** The value written, or the default of the class. */
  get(name: string): unknown {
    if (Object.hasOwn(this.#json, name)) return this.#json[name];
    return Object.hasOwn(this.#of.defaults, name) ? this.#of.defaults[name] : null;
  }

  /** What is written under one of several names of the same thing; two that differ are refused. */
  alias(...names: readonly [string, ...string[]]): string {
    const written = names.filter((name) => this.#json[name] !== undefined && this.#json[name] !== null);
    const [first = names[0], second] = written;
    if (second !== undefined && this.get(first) !== this.get(second))
      throw this.refuse(second, `${first} is ${shownJson(this.get(first))}, and both name the same`);
    return first;
  }

  refuse(name: string, hint: string): CheckpointUnsupportedError {
    const value = shownJson(this.get(name));
    const origin = Object.hasOwn(this.#json, name) ? '' : ` (absent, the default of ${this.#of.config})`;
    return new CheckpointUnsupportedError(this.where, `${name} is ${value}${origin}; ${hint}`, {
      key: name,
      value,
    });
  }

  /** A count of at least 1. */
  count(name: string): number {
    const value = this.get(name);
    const isCount = Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= COUNT_MAX;
    if (!isCount) throw this.refuse(name, `a whole number from 1 to ${COUNT_MAX} is needed`);
    return value as number;
  }

  /** A count, or `otherwise` where null is written or the class says null. */
  countOr(name: string, otherwise: number): number {
    return this.get(name) === null ? otherwise : this.count(name);
  }

  /** A number of at least 0. */
  number(name: string): number {
    const value = this.get(name);
    if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
    throw this.refuse(name, 'a number of at least 0 is needed');
  }

  positive(name: string): number {
    if (this.number(name) > 0) return this.number(name);
    throw this.refuse(name, 'a number above 0 is needed');
  }

  flag(name: string): boolean {
    const value = this.get(name);
    if (typeof value === 'boolean') return value;
    throw this.refuse(name, 'true or false is needed');
  }
}
