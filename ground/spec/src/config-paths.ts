import type { ModelConfig } from './model-config.ts';

/** What has no settings inside: a value. */
type Leaf = string | number | boolean | null | undefined | readonly unknown[];

type PathsAt<Key extends string, Value> =
  | (NonNullable<Value> extends Leaf ? Key : `${Key}.${PathsOf<NonNullable<Value>>}`)
  | (null extends Value ? Key : never);

/** Dotted paths of all settings of a config; one that may be null is a setting of its own, beside those inside it. */
export type PathsOf<Config> = {
  [Key in keyof Config & string]-?: PathsAt<Key, Config[Key]>;
}[keyof Config & string];

/** `vocab`, `norm.kind`, `moe`, `moe.balance.scope` … */
export type ConfigPath = PathsOf<ModelConfig>;

/**
 * A decision about every setting of a model. A setting that is added to `ModelConfig` does not compile until each such
 * table has decided about it.
 */
export type ConfigTable<Decision> = Readonly<Record<ConfigPath, Decision>>;
