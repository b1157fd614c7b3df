/** What is known of a host after it was looked at. */
export interface HostReport {
  /** As the person names it. */
  readonly host: string;
  /** Where others find it: what ssh makes of that name. */
  readonly address: string;
  /** Why it was not looked at to the end; null when it was. */
  readonly failed: string | null;
  /** Whether it did not answer at all: it may later. */
  readonly isUnreachable: boolean;
  /** What it says of itself, by key: `user`, `name`, `machine`, `path`, `node`, `version`, `troupe`, `cores`, `memory`, `workdir`, `scratch`, `port`. */
  readonly facts: Readonly<Record<string, string>>;
  /** What came of dialling each of the others: '' when it answered. */
  readonly reached: Readonly<Record<string, string>>;
  readonly seconds: number;
}

/** Facts of the lines that a host has said; what is no fact (a greeting of its login shell) is passed over. */
export function factsOf(lines: readonly string[]): Pick<HostReport, 'facts' | 'reached'> {
  const facts: Record<string, string> = {};
  const reached: Record<string, string> = {};
  for (const line of lines) {
    const [, key, value = ''] = /^(\w+)\t(.*)$/u.exec(line) ?? [];
    if (key === 'reach') {
      const [, other = '', how = ''] = /^(\S+) (.*)$/u.exec(value) ?? [];
      reached[other] = how;
    } else if (key !== undefined) facts[key] = value;
  }
  return { facts, reached };
}

/** Hosts of a comma-separated list, in order, each once. */
export function hostsOf(list: string): readonly string[] {
  return [
    ...new Set(
      list
        .split(',')
        .map((each) => each.trim())
        .filter((each) => each !== ''),
    ),
  ];
}
