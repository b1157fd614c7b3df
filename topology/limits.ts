/** Sizes up to which a topology is read; whatever a file holds, it is judged in time that grows no faster than it does. */
export const limits = {
  /** UTF-16 units of one file: room for a rule for every actor of 32,000 devices. */
  fileLength: 4 * 2 ** 20,
  /** Maps and lists inside each other; a topology needs six. */
  depth: 32,
  placementRules: 65_536,
  /** Rules with `*` are held against every actor, the others are looked up. */
  placementPatterns: 256,
  faults: 4096,
  machines: 65_536,
  /** Problems that are shown, and for which the nearest legal name is looked for. */
  problems: 100,
} as const;
