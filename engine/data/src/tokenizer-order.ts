// What a process asks its tokenizer process, and what that answers. No code: both ends import it.

/** Limits of one order; beyond them the tokenizer's process ends itself. */
export interface Allowance {
  readonly seconds: number;
  readonly megabytes: number;
}

export type TokenizerTask =
  | { readonly kind: 'load'; readonly json: string; readonly added: readonly string[] }
  | { readonly kind: 'encode'; readonly texts: readonly string[] }
  | { readonly kind: 'decode'; readonly ids: readonly number[]; readonly skipSpecial: boolean };

export interface TokenizerOrder {
  readonly allowance: Allowance;
  readonly task: TokenizerTask;
}

/**
 * `ids` of added tokens (load: null for one that the library left out), of texts (encode); `text` (decode); `absent`: the library is
 * not there; `refused`: the library said no.
 */
export interface TokenizerAnswer {
  readonly added?: readonly (number | null)[];
  readonly ids?: readonly Int32Array[];
  readonly text?: string;
  readonly absent?: string;
  readonly refused?: string;
}
