import type { FilledTopology } from './fill.ts';
import type { Finding } from './finding.ts';
import { divisors, nearestNumber } from './nearest.ts';

type Moe = NonNullable<FilledTopology['model']['moe']>;

/** A key that another one leaves no sense. */
const conflict = (key: string, also: string, rule: string, nearest: string | number): Finding => ({
  code: 'TROUPE_TOPOLOGY_CONFLICT',
  keys: [`model.moe.${key}`, `model.moe.${also}`],
  rule,
  nearest,
});

/** A drawn choice is one of a router that is learned, by its logits alone. */
function samplingRules({ topK, router, balance }: Moe): readonly Finding[] {
  const { sampling } = router;
  if (sampling === 'none') return [];
  const choices = sampling === 'second' ? 2 : 1;
  const found: Finding[] = [];
  const say = (also: string, rule: string): void => {
    found.push(conflict('router.sampling', also, rule, 'none'));
  };
  if (topK !== choices) say('topK', `${sampling} draws one of ${choices} choices, and topK is ${topK}`);
  if (router.choice !== 'learned')
    say('router.choice', `draws choices of the router, and ${router.choice} ones are forced`);
  if (router.scores !== 'softmax' || router.groups > 1 || balance.bias > 0)
    say('router.scores', 'draws by softmax logits alone: no other scores, no groups of experts and no bias');
  return found;
}

/** A domain lies within what one replica computes at once, so that no pass waits for another replica's counts. */
function domainRules(file: FilledTopology, { balance }: Moe): readonly Finding[] {
  const { grains, microbatches } = file.train;
  const { dp } = file.parallel;
  if (balance.scope !== 'domain') return [];
  const own = grains / (dp * microbatches);
  // Grains that microbatches do not divide are said elsewhere.
  if (!Number.isInteger(own) || own % balance.domain === 0) return [];
  return [
    {
      code: 'TROUPE_TOPOLOGY_INDIVISIBLE',
      keys: ['model.moe.balance.domain', 'train.grains', 'train.microbatches', 'parallel.dp'],
      rule: `a microbatch of one replica has ${own} grains (${grains} of ${dp} replicas and ${microbatches} microbatches), which domains of ${balance.domain} do not divide`,
      nearest: nearestNumber(balance.domain, divisors(own)),
    },
  ];
}

/** What experts drop, which choices are drawn, and within which rows experts are balanced. */
export function capacityRules(file: FilledTopology): readonly Finding[] {
  const { moe } = file.model;
  return moe === null ? [] : [...samplingRules(moe), ...domainRules(file, moe)];
}
