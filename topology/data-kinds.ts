/** Keys of `data:` that name files; what is in them decides whether a run goes on with the same data, not where they lie. */
export const fileKinds = ['text', 'jsonl', 'parquet', 'tokens', 'parallel'] as const;

/** Keys of `data:` that say where tokens come from; one of them is set. */
export const dataKinds = ['source', ...fileKinds, 'synthetic'] as const;
