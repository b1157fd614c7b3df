/** One line of a Dockerfile that does something. */
export interface Instruction {
  readonly name: string;
  /** Behind the name, with continued lines joined. */
  readonly rest: string;
  /** Number of its first line, from 1. */
  readonly line: number;
}

/** What is built from one `FROM`. */
export interface Stage {
  /** Image that it begins with. */
  readonly base: string;
  /** Of `AS`; null: it has none. */
  readonly name: string | null;
  readonly instructions: readonly Instruction[];
}

/** Instructions of a file, without comments. */
export function instructionsOf(text: string): readonly Instruction[] {
  const found: Instruction[] = [];
  let begun: string[] = [];
  let first = 0;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (begun.length === 0) first = index + 1;
    begun.push(line.replace(/\s*\\$/u, ''));
    if (line.endsWith('\\')) continue;
    const whole = begun.join(' ');
    begun = [];
    const { name = '', rest = '' } = /^(?<name>[A-Z]+)\s+(?<rest>.+)$/u.exec(whole)?.groups ?? {};
    if (name === '') throw new Error(`line ${first} is no instruction: ${whole}`);
    found.push({ name, rest, line: first });
  }
  return found;
}

/** Stages of a file, in its order. */
export function stagesOf(text: string): readonly Stage[] {
  const stages: { base: string; name: string | null; instructions: Instruction[] }[] = [];
  for (const instruction of instructionsOf(text)) {
    if (instruction.name === 'FROM') {
      const [base = '', as, name = null] = instruction.rest.split(/\s+/u);
      stages.push({ base, name: as === 'AS' ? name : null, instructions: [] });
      continue;
    }
    const stage = stages.at(-1);
    if (stage === undefined) throw new Error(`line ${instruction.line} comes before FROM`);
    stage.instructions.push(instruction);
  }
  return stages;
}
