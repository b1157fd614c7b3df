import { expertsChoose, expertTake } from '@troupe/spec';
import type { FilledTopology } from './fill.ts';
import type { Finding } from './finding.ts';
import { divisors, nearestNumber } from './nearest.ts';

type Moe = NonNullable<FilledTopology['model']['moe']>;

/** Sizes of choice groups that a batch can be cut into: groups of whole grains or within one, and enough for an expert to take a token. */
function legalGroups({ model: { moe }, train }: FilledTopology): readonly number[] {
  const { batch, grains, microbatches } = train;
  if (moe === null || batch % grains !== 0 || batch % microbatches !== 0) return [];
  const inGrain = batch / grains;
  return divisors(batch / microbatches).filter(
    (n) =>
      (inGrain % n === 0 || n % inGrain === 0) &&
      expertTake({ ...moe, router: { ...moe.router, groupSequences: n } }) >= 1,
  );
}

/** Groups are part of the numbers, so they are runs of whole grains, or of sequences within one, inside one microbatch of all replicas. */
function groupSizes(file: FilledTopology, moe: Moe): readonly Finding[] {
  const { batch, grains, microbatches } = file.train;
  // Said of these already.
  if (batch % grains !== 0 || batch % microbatches !== 0 || moe.topK > moe.experts) return [];
  const { groupSequences: n } = moe.router;
  const key = 'model.moe.router.groupSequences';
  const nearest = nearestNumber(n, legalGroups(file));
  const hint = nearest === null ? '; no size fits this batch' : '';
  const inGrain = batch / grains;
  const inMicrobatch = batch / microbatches;
  const found: Finding[] = [];
  if (inMicrobatch % n !== 0)
    found.push({
      code: 'TROUPE_TOPOLOGY_INDIVISIBLE',
      keys: [key, 'train.batch', 'train.microbatches'],
      rule: `batch ${batch} / microbatches ${microbatches} = ${inMicrobatch} sequences are not divisible by groups of ${n}: a group lies within one microbatch of all replicas${hint}`,
      nearest,
    });
  else if (inGrain % n !== 0 && n % inGrain !== 0)
    found.push({
      code: 'TROUPE_TOPOLOGY_INDIVISIBLE',
      keys: [key, 'train.grains', 'train.batch'],
      rule: `groups of ${n} and grains of ${inGrain} sequences (batch ${batch} / grains ${grains}) do not divide each other: a group is a run of whole grains, or lies within one${hint}`,
      nearest,
    });
  if (found.length === 0 && expertTake(moe) === 0)
    found.push({
      code: 'TROUPE_TOPOLOGY_RANGE',
      keys: [key, 'model.moe.topK', 'model.moe.experts'],
      rule: `must be at least ${Math.ceil(moe.experts / (2 * moe.topK))}: of ${n} sequences each of ${moe.experts} experts takes ${n} · topK ${moe.topK} / ${moe.experts}, which rounds to none${hint}`,
      nearest,
    });
  return found;
}

/** What token choice alone has: weights of expert choice are the probabilities as they are, and its load is even by nature. */
function foreignSettings({ router, capacity, balance }: Moe): readonly Finding[] {
  const settings: readonly (readonly [string, boolean, string | number, string])[] = [
    [
      'router.scores',
      router.scores !== 'softmax',
      'softmax',
      'experts compare probabilities over all of them',
    ],
    ['router.choice', router.choice !== 'learned', 'learned', 'a forced pattern is of tokens that choose'],
    ['router.groups', router.groups !== 1, 1, 'groups of experts are of tokens that choose'],
    ['router.scale', router.scale !== 1, 1, 'weights are the probabilities as they are'],
    ['router.sampling', router.sampling !== 'none', 'none', 'no token chooses'],
    [
      'capacity',
      capacity.train !== 0 || capacity.eval !== 0,
      0,
      'an expert takes as many tokens as it has room for',
    ],
    ['balance.bias', balance.bias !== 0, 0, 'every expert has equally many tokens'],
  ];
  return settings.flatMap(([key, differs, nearest, why]) =>
    differs
      ? [
          {
            code: 'TROUPE_TOPOLOGY_CONFLICT' as const,
            keys: [`model.moe.${key}`, 'model.moe.router.kind'] as const,
            rule: `must be ${nearest} where experts choose: ${why}`,
            nearest,
          },
        ]
      : [],
  );
}

/** Expert choice against the batch and the other settings of a router. */
export function choiceRules(file: FilledTopology): readonly Finding[] {
  const { moe } = file.model;
  if (moe === null || !expertsChoose(moe)) return [];
  return [...foreignSettings(moe), ...groupSizes(file, moe)];
}
