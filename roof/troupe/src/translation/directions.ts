import type { ResolvedTopology } from '@troupe/topology';

/** Texts that come in many languages have each beside this one. */
const COMMON = 'en';

/** Whether a task of the topology translates from one language to the other. Models may do it all the same, unseen. */
export function isTranslated(
  { data: { source } }: Pick<ResolvedTopology, 'data'>,
  { from, to }: { readonly from: string; readonly to: string },
): boolean {
  if (source.kind !== 'parallel') return false;
  const isPaired = source.sources.some((origin) =>
    origin.kind === 'help' || origin.kind === 'typescript'
      ? [from, to].includes(COMMON)
      : [from, to].every((language) => language === origin.from || language === origin.to),
  );
  return source.tasks
    .filter(({ kind }) => kind === 'translation')
    .some(({ pairs }) => pairs?.includes(`${from}-${to}`) ?? isPaired);
}
