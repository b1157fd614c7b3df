import type { Finding } from './finding.ts';
import type { TopologyValues } from './schema.ts';
import { parallelKinds, taskKinds, type ParallelKind } from './task-kinds.ts';

type Data = TopologyValues['data'];
type Origin = NonNullable<Data['parallel']>[number];
type Task = NonNullable<Data['tasks']>[number];

/** Keys that each form of texts needs, and further ones that it may have. */
const originKeys: Readonly<
  Record<ParallelKind, { readonly needs: readonly (keyof Origin)[]; readonly may: readonly (keyof Origin)[] }>
> = {
  lines: { needs: ['from', 'to', 'source', 'target'], may: [] },
  tsv: { needs: ['from', 'to', 'file'], may: [] },
  jsonl: { needs: ['from', 'to', 'file'], may: ['fields', 'document'] },
  po: { needs: ['from', 'to', 'file'], may: [] },
  help: { needs: ['folder'], may: ['languages'] },
  typescript: { needs: [], may: ['languages'] },
  text: { needs: ['language', 'file'], may: [] },
  'jsonl-text': { needs: ['language', 'file'], may: ['field'] },
};

/** Kinds of tasks that have a key. */
const taskKeys = {
  pairs: ['translation'],
  languages: ['denoising', 'language-model'],
  noise: ['denoising'],
} as const satisfies Partial<Record<keyof Task, readonly Task['kind'][]>>;

const conflict = (key: string, other: string, rule: string): Finding => ({
  code: 'TROUPE_TOPOLOGY_CONFLICT',
  keys: [key, other],
  rule,
  nearest: null,
});

function originRules(origin: Origin, index: number): readonly Finding[] {
  const at = `data.parallel.${index}`;
  const { needs, may } = originKeys[origin.kind];
  const missing = needs
    .filter((key) => origin[key] === undefined)
    .map((key): Finding => ({
      code: 'TROUPE_TOPOLOGY_MISSING',
      keys: [`${at}.${key}`, at],
      rule: `${origin.kind} needs ${needs.join(', ')}`,
      nearest: null,
    }));
  const idle = (Object.keys(origin) as (keyof Origin)[])
    .filter((key) => key !== 'kind' && origin[key] !== undefined && ![...needs, ...may].includes(key))
    .map((key) => {
      const owners = parallelKinds.filter((kind) =>
        [...originKeys[kind].needs, ...originKeys[kind].may].includes(key),
      );
      return conflict(`${at}.${key}`, `${at}.kind`, `only ${owners.join(', ')} has ${key}`);
    });
  const { from, to } = origin;
  const same =
    from === undefined || from !== to
      ? []
      : [conflict(`${at}.to`, `${at}.from`, `must be another language than from, ${from}`)];
  return [...missing, ...idle, ...same];
}

function ofTask(task: Task, index: number): readonly Finding[] {
  const at = `data.tasks.${index}`;
  const idle = (Object.keys(taskKeys) as (keyof typeof taskKeys)[]).flatMap((key) => {
    const owners: readonly string[] = taskKeys[key];
    if (task[key] === undefined || owners.includes(task.kind)) return [];
    return [conflict(`${at}.${key}`, `${at}.kind`, `only ${owners.join(' and ')} has ${key}`)];
  });
  const list = task.noise ?? [];
  if (typeof list === 'string' || !list.includes('spans') || list.length === 1) return idle;
  const rule = 'spans stands alone; infill, delete, rotate and shuffle go together';
  return [...idle, conflict(`${at}.noise`, at, rule)];
}

/** What the texts are in; null where only reading them tells. */
function languagesOf(origins: readonly Origin[]) {
  const languages = new Set<string>();
  const pairs = new Set<string>();
  for (const { kind, from, to, language } of origins) {
    if (kind === 'help' || kind === 'typescript') return null;
    for (const each of [from, to, language]) if (each !== undefined) languages.add(each);
    if (from !== undefined && to !== undefined) pairs.add(`${from}-${to}`).add(`${to}-${from}`);
  }
  return { languages, pairs };
}

/** Tasks whose texts nobody named. */
function textRules(origins: readonly Origin[], tasks: readonly Task[]): readonly Finding[] {
  const known = languagesOf(origins);
  if (known === null) return [];
  return tasks.flatMap((task, index) => {
    const at = `data.tasks.${index}`;
    const unknown = (['pairs', 'languages'] as const).flatMap((key) =>
      (task[key] ?? []).flatMap((each, place) => {
        const there = [...known[key]].toSorted().join(', ') || 'none';
        const rule = `no text of data.parallel is in ${each}; there is ${there}`;
        return known[key].has(each) ? [] : [conflict(`${at}.${key}.${place}`, 'data.parallel', rule)];
      }),
    );
    if (unknown.length > 0 || task.kind !== 'translation' || known.pairs.size > 0) return unknown;
    const rule = 'translation needs texts in two languages (from, to), and data.parallel names none';
    return [conflict(`${at}.kind`, 'data.parallel', rule)];
  });
}

/** Judges sources of texts and tasks: which keys belong to which kind, and which tasks to which model and which texts. */
export function taskRules({ parallel, tasks }: Data, hasEncoder: boolean): readonly Finding[] {
  if (tasks !== undefined && parallel === undefined)
    return [conflict('data.tasks', 'data.parallel', `only parallel has tasks: ${taskKinds.join(', ')}`)];
  const models = (tasks ?? []).flatMap(({ kind }, index) =>
    kind === 'language-model' && hasEncoder
      ? [
          conflict(
            `data.tasks.${index}.kind`,
            'model.encoder',
            'a language model has nothing for an encoder to read; use denoising, or a model without encoder',
          ),
        ]
      : [],
  );
  const keys = [...(parallel ?? []).flatMap(originRules), ...(tasks ?? []).flatMap(ofTask)];
  const texts = keys.length > 0 ? [] : textRules(parallel ?? [], tasks ?? []);
  return [...keys, ...models, ...texts];
}
