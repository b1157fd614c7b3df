import { bucketsMistake } from '@troupe/kernel-set';
import type { FilledTopology } from './fill.ts';
import type { Finding } from './finding.ts';

type Keys = Finding['keys'];

const finding = (code: Finding['code'], keys: Keys, rule: string, nearest: Finding['nearest']): Finding => ({
  code,
  keys,
  rule,
  nearest,
});

/** Buckets of a direction of the stack that has fewer hold a single distance in their first half, and the last one begins behind these. */
function bucketRules({ relative, encoder }: FilledTopology['model']): readonly Finding[] {
  const { maxDistance } = relative;
  const stacks = encoder === null ? [false] : [true, false];
  if (stacks.every((bidirectional) => bucketsMistake({ ...relative, bidirectional }) === null)) return [];
  const least = Math.floor(relative.buckets / 2) + 1;
  const rule = `must be at least ${least}: half of the ${relative.buckets} buckets hold one distance each, and ${maxDistance} lies among these`;
  const keys: Keys = ['model.relative.maxDistance', 'model.relative.buckets'];
  return [finding('TROUPE_TOPOLOGY_RANGE', keys, rule, least)];
}

/** All blocks of a stack read its table of biases and add to the table's gradient, so a stack lies on one stage. */
function stackRules({ model, parallel }: FilledTopology): readonly Finding[] {
  const { encoder, layers } = model;
  const { pp, chunks, stages } = parallel;
  const stacks = encoder === null ? 1 : 2;
  const keys: Keys = ['parallel.pp', 'parallel.chunks', 'model.positions'];
  if (pp * chunks > stacks) {
    const what = encoder === null ? 'a decoder' : 'an encoder and a decoder';
    const rule = `pp ${pp} × chunks ${chunks} = ${pp * chunks} runs of layers would cut a stack, whose layers share one table of positions (t5): ${what} can be ${stacks === 1 ? 'one run' : 'two runs'}`;
    return [finding('TROUPE_TOPOLOGY_RANGE', keys, rule, Math.max(1, Math.floor(stacks / chunks)))];
  }
  if (encoder === null || stages === undefined || pp * chunks === 1) return [];
  const whole = [encoder.layers, layers - encoder.layers];
  if (String(stages) === String(whole)) return [];
  const rule = `must be [${whole.join(', ')}]: layers of a stack share one table of positions (t5)`;
  return [
    finding(
      'TROUPE_TOPOLOGY_CONFLICT',
      ['parallel.stages', 'model.positions', 'model.encoder.layers'],
      rule,
      null,
    ),
  ];
}

/** Learned biases by distance, against the layout and against other kinds of attention. */
export function positionRules(file: FilledTopology): readonly Finding[] {
  const { model } = file;
  if (model.positions !== 't5') return [];
  const latent =
    model.mla === null
      ? []
      : [
          finding(
            'TROUPE_TOPOLOGY_CONFLICT',
            ['model.positions', 'model.mla'],
            'must be rotary with latent attention',
            'rotary',
          ),
        ];
  return [...latent, ...bucketRules(model), ...stackRules(file)];
}
