/** What is asked of a running run, as data: it comes over the control socket. */
export type RelayoutAsk =
  /** To go on without a machine, `m1` or its host. */
  | { readonly kind: 'drain'; readonly machine: string }
  /** To put actors elsewhere: a rule of `placement`. */
  | { readonly kind: 'migrate'; readonly pattern: string; readonly target: string }
  /** To go on as a topology file says. */
  | { readonly kind: 'apply'; readonly name: string; readonly file: object };

/** In words. */
export function askWords(ask: RelayoutAsk): string {
  if (ask.kind === 'drain') return `drain ${ask.machine}`;
  return ask.kind === 'migrate' ? `migrate ${ask.pattern} ${ask.target}` : `apply ${ask.name}`;
}

/** What was read of somebody's question; null: it is none. */
export function askOf(value: unknown): RelayoutAsk | null {
  const { kind, machine, pattern, target, name, file } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const isText = (each: unknown): each is string => typeof each === 'string' && each !== '';
  if (kind === 'drain' && isText(machine)) return { kind, machine };
  if (kind === 'migrate' && isText(pattern) && isText(target)) return { kind, pattern, target };
  if (kind === 'apply' && isText(name) && typeof file === 'object' && file !== null)
    return { kind, name, file };
  return null;
}
