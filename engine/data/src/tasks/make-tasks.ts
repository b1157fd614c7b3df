import { DataConfigError } from '../errors.ts';
import { pairName } from '../parallel/text-pair.ts';
import { pairItems, pieceItems, type Items, type PieceRule } from './items.ts';
import { denoising, plainText, type Noise } from './noise.ts';
import type { SpecialIds } from './special-tokens.ts';
import type { Task, TaskPart } from './task-batches.ts';
import type { TaskCorpus } from './task-corpus.ts';
import type { TaskSpec } from './task-spec.ts';
import type { IndexedPairs } from './task-texts.ts';
import type { WindowShape } from './window-shape.ts';

/** What tasks are made of. */
export interface Material {
  readonly corpus: TaskCorpus;
  readonly ids: SpecialIds;
  readonly shape: WindowShape;
  readonly seed: number;
}

const listed = (names: Iterable<string>): string => [...names].sort().join(', ') || 'none';

/** Every pair in both directions. */
function bothWays(pairs: readonly IndexedPairs[]): ReadonlyMap<string, IndexedPairs> {
  const turned = (texts: Int32Array): Int32Array => texts.map((_, at) => texts[at ^ 1] ?? 0);
  const all = new Map(pairs.map((pair) => [pairName(pair.from, pair.to), pair]));
  for (const { from, to, train, heldOut } of pairs) {
    const name = pairName(to, from);
    // A direction that is there by itself is not turned round.
    if (!all.has(name)) all.set(name, { from: to, to: from, train: turned(train), heldOut: turned(heldOut) });
  }
  return all;
}

/** Refuses a part without a training item in one sentence. */
function checked(what: string, part: TaskPart): TaskPart {
  const { count, tooLong, tooShort } = part.train;
  if (count > 0) return part;
  throw new DataConfigError(
    `${what} has nothing to train on for ${part.language}: ${tooLong} texts are longer than a window and ${tooShort} are too short`,
    'make model.seqLen (and model.encoder.seqLen) longer, or leave the language out',
  );
}

function translations(
  what: string,
  { pairs }: TaskSpec,
  { corpus, ids, shape }: Material,
): readonly TaskPart[] {
  const known = bothWays(corpus.pairs);
  return (pairs ?? [...known.keys()]).map((language) => {
    const pair = known.get(language);
    if (pair === undefined)
      throw new DataConfigError(
        `${what}: no parallel text for ${language}`,
        `there is ${listed(known.keys())}; add a source to data.parallel or choose another pair`,
      );
    const { from, to, train, heldOut } = pair;
    const [source, target] = [corpus.languages.get(from), corpus.languages.get(to)];
    const begin = ids.tags.get(to);
    if (source === undefined || target === undefined || begin === undefined)
      throw new DataConfigError(`${what}: no text for ${language}`, 'read data.parallel again');
    const itemsOf = (texts: Int32Array): Items => pairItems({ source, target, pairs: texts }, begin, shape);
    return checked(what, { language, train: itemsOf(train), heldOut: itemsOf(heldOut) });
  });
}

function texts(
  what: string,
  { languages }: TaskSpec,
  { corpus, ids, shape }: Material,
  ruleOf: (list: number) => PieceRule,
): readonly TaskPart[] {
  return (languages ?? [...corpus.languages.keys()]).map((language, list) => {
    const tokens = corpus.languages.get(language);
    const begin = ids.tags.get(language);
    if (tokens === undefined || begin === undefined)
      throw new DataConfigError(
        `${what}: no text in ${language}`,
        `there is ${listed(corpus.languages.keys())}; add a source to data.parallel or choose another language`,
      );
    const { numTrain, starts } = tokens;
    const places = Int32Array.from({ length: starts.length - 1 }, (_, place) => place);
    const itemsOf = (chosen: Int32Array): Items => pieceItems(tokens, { chosen, begin, shape }, ruleOf(list));
    return checked(what, {
      language,
      train: itemsOf(places.subarray(0, numTrain)),
      heldOut: itemsOf(places.subarray(numTrain)),
    });
  });
}

/** @throws {DataConfigError} TROUPE_DATA_CONFIG for noises that do not go together */
function noiseOf(what: string, { noise = ['spans'] }: TaskSpec): readonly Noise[] {
  if (noise.length === 0 || (noise.includes('spans') && noise.length > 1))
    throw new DataConfigError(
      `${what} has noise ${noise.join(', ') || 'none'}`,
      'use spans alone, or some of infill, delete, rotate, shuffle',
    );
  return noise;
}

const nameOf = (spec: TaskSpec): string =>
  spec.kind === 'denoising' ? `denoising ${(spec.noise ?? ['spans']).join('+')}` : spec.kind;

type Parts = (what: string, spec: TaskSpec, material: Material) => readonly TaskPart[];

const partsOf: Readonly<Record<TaskSpec['kind'], Parts>> = {
  translation: translations,
  denoising: (what, spec, material) => {
    const noise = noiseOf(what, spec);
    const { seed, ids } = material;
    return texts(what, spec, material, (list) => denoising(noise, ids.noise, { seed, list }));
  },
  'language-model': (what, spec, material) => {
    if (material.shape.source !== null)
      throw new DataConfigError(
        `${what}: a language model has nothing for an encoder to read`,
        'use denoising, or leave model.encoder out',
      );
    return texts(what, spec, material, () => plainText);
  },
};

/**
 * The tasks of a topology over the texts that there are.
 *
 * @throws {DataConfigError} TROUPE_DATA_CONFIG naming the task: a language or a pair that no source has, nothing that fits a window,
 *   a task that the model cannot have
 */
export function makeTasks(specs: readonly TaskSpec[], material: Material): readonly Task[] {
  const names = specs.map(nameOf);
  return specs.map((spec, index) => {
    const name = names[index] ?? '';
    const isAlone = names.indexOf(name) === names.lastIndexOf(name);
    const what = `task ${index + 1} (${name})`;
    const parts = partsOf[spec.kind](what, spec, material);
    if (parts.length === 0)
      throw new DataConfigError(
        `${what} has no text`,
        'name texts in two languages in data.parallel, or choose denoising or language-model',
      );
    return {
      name: isAlone ? name : `${name} ${index + 1}`,
      weight: spec.weight ?? 1,
      evaluate: spec.evaluate ?? true,
      temperature: spec.temperature ?? 1,
      parts,
    };
  });
}
