import { LauncherError } from '../errors.ts';

/** Most nodes of one list: more is a slip of the pen (`n[1-99999999]`), not a cluster. */
const MOST_NODES = 65_536;

/** Longest number in brackets, digits; more would not be exact. */
const MOST_DIGITS = 15;

/**
 * Nodes of a list in Slurm's bracket form, in its order: `gpu[001-003,007],login1` is gpu001, gpu002, gpu003, gpu007 and login1.
 *
 * Read here and not by `scontrol show hostnames`, since containers often lack that; a test on a real Slurm holds both equal. With several
 * brackets in one name the last counts fastest, and a range is as wide as the number that it starts with.
 *
 * @param where - what holds the list, for the message: `SLURM_JOB_NODELIST`
 * @throws {LauncherError} TROUPE_LAUNCHER when it is no such list
 */
export function slurmNodes(list: string, where: string): readonly string[] {
  const refuse = (problem: string): never => {
    throw new LauncherError(
      `${where} '${list}' is no list of nodes: ${problem}; expected gpu[001-003,007],login1`,
    );
  };
  const nodes: string[] = [];
  for (const name of outsideBrackets(list, refuse)) {
    // Each is the names so far, with every number of one bracket behind them.
    let names: readonly string[] = [''];
    for (const part of name.split(/(?=\[)|(?<=\])/u)) {
      const ends = part.startsWith('[') ? numbersOf(part.slice(1, -1), refuse) : [part];
      if (nodes.length + names.length * ends.length > MOST_NODES) refuse(`more than ${MOST_NODES} nodes`);
      names = names.flatMap((start) => ends.map((end) => start + end));
    }
    nodes.push(...names);
  }
  return nodes;
}

type Refuse = (problem: string) => never;

/** The names of a list, brackets as they stand: parts between the commas that are in no bracket. */
function outsideBrackets(list: string, refuse: Refuse): readonly string[] {
  const names = list.match(/(?:\[[^[\]]*\]|[^[\],])+/gu) ?? [];
  // What the pattern left out is more than the commas between names: a bracket alone, or a name that is empty.
  if (names.join(',') !== list || names.length === 0)
    refuse(
      /[[\]]/u.test(list.replaceAll(/\[[^[\]]*\]/gu, '')) ? 'a bracket has no other half' : 'a name is empty',
    );
  for (const name of names)
    if (!/^[\w.-]+$/u.test(name.replaceAll(/\[[^[\]]*\]/gu, '')) || name.startsWith('-'))
      refuse(`'${name}' is no name of a host`);
  return names;
}

/** Numbers of a bracket as they are written: `001-003,007`. */
function numbersOf(bracket: string, refuse: Refuse): readonly string[] {
  return bracket.split(',').flatMap((range) => {
    const [, from = '', to = from] = /^(\d+)(?:-(\d+))?$/u.exec(range) ?? [];
    if (from === '') refuse(`'${range}' in its brackets is neither a number nor two with - between them`);
    const [first, last] = [Number(from), Number(to)];
    if (Math.max(from.length, to.length) > MOST_DIGITS)
      refuse(`'${range}' has more than ${MOST_DIGITS} digits`);
    if (last < first) refuse(`'${range}' ends before it starts`);
    if (last - first >= MOST_NODES) refuse(`more than ${MOST_NODES} nodes`);
    return Array.from({ length: last - first + 1 }, (_, index) =>
      String(first + index).padStart(from.length, '0'),
    );
  });
}
