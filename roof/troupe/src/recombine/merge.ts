import { resolve } from 'node:path';
import { lineageOf, stepFolder, type CheckpointReader } from '@troupe/checkpoint';
import { parseTokenizer } from '@troupe/data';
import { expertsChoose, routerNames, type MoeConfig } from '@troupe/spec';
import { diffValues } from '@troupe/topology';
import { MergeError } from '../errors.ts';
import { checkOptions, flag, positive, required, text, type OptionRules } from '../option-rules.ts';
import { allExperts } from './expert-pick.ts';
import { expertsOf, freshBase, numParameters, type ExpertModel } from './expert-models.ts';
import type { Likeness } from './likeness.ts';
import { writeModelFolder } from './model-folder.ts';
import { rewrittenTopology } from './rewritten-topology.ts';
import { sourcedTensors } from './tensor-sources.ts';
import { writeRecombined } from './write-recombined.ts';

export interface MergeOptions {
  /** Folder for the checkpoint and its topology; nothing of that name exists yet. */
  readonly out: string;
  /** Multiplies the combine weights: 2 gives back what twice as many experts take from each probability. Default 1. */
  readonly rescale?: number;
  /** The models have no checkpoint in common that is known, and one knows better. Default false. */
  readonly force?: boolean;
}

/** A model that was made of two. */
export interface MergedModel {
  /** Of the checkpoint: `models/both/step-000000`. */
  readonly checkpoint: string;
  readonly experts: number;
  readonly numParameters: number;
  readonly sizeBytes: number;
  /** Of what was averaged, by kind and (`all`) together. */
  readonly likeness: readonly Likeness[];
  readonly notes: readonly string[];
}

const rules: OptionRules<MergeOptions> = {
  out: required(text('the path of a folder')),
  rescale: positive('factor of the combine weights'),
  force: flag,
};

/** Keys of `model` that say how training begins or what it adds to the loss: models of one shape may differ in them. */
const trainingKeys = /^(?:init|moe\.balance)(?:\.|$)/u;

function shapesMustAgree(a: ExpertModel, b: ExpertModel): void {
  const different = diffValues(a.topology.model, b.topology.model)
    .filter(({ key }) => !trainingKeys.test(key))
    .map(
      ({ key, before, after }) =>
        `model.${key} is ${JSON.stringify(before)} in ${a.folder} and ${JSON.stringify(after)} in ${b.folder}`,
    );
  const biased = [a, b].filter(({ topology }) => (topology.model.moe?.balance.bias ?? 0) > 0);
  if (biased.length === 1)
    different.push(
      `the routers of ${biased[0]?.folder} have a bias (model.moe.balance.bias) and the others none`,
    );
  if (different.length > 0)
    throw new MergeError(`two models of one shape are merged, and ${different.join('; ')}`);
}

async function tokenizersMustAgree(a: ExpertModel, b: ExpertModel): Promise<Uint8Array | null> {
  const [first, second] = await Promise.all([a, b].map(({ checkpoint }) => checkpoint.tokenizer()));
  const fingerprint = (json: Uint8Array | null | undefined): string | null =>
    json ? parseTokenizer(json).fingerprint : null;
  const [own, other] = [fingerprint(first), fingerprint(second)];
  if (own !== other) {
    const has = own === null ? b : a;
    const reason =
      own === null || other === null
        ? `${has.folder} has a tokenizer and the other model none`
        : `${a.folder} and ${b.folder} have different ones: one id would mean two texts`;
    throw new MergeError(`merged models share a tokenizer, and ${reason}`);
  }
  return first ?? null;
}

/** Checkpoints that a checkpoint is, or comes from. */
const lineage = ({ manifest }: CheckpointReader): readonly string[] => lineageOf(manifest);

function parentsMustMeet(a: ExpertModel, b: ExpertModel, force: boolean): readonly string[] {
  const known = new Set(lineage(a.checkpoint));
  // A run folder has checkpoints of one run, which name what the run began with, but not each other.
  if (resolve(a.folder) === resolve(b.folder)) return [];
  if (lineage(b.checkpoint).some((each) => known.has(each))) return [];
  const problem = `${a.folder} and ${b.folder} come from no common checkpoint (parents in manifest.json)`;
  if (!force)
    throw new MergeError(
      `${problem}, and the mean of weights that were drawn apart is worth nothing; train both from one with launch --from, or say --force if they come from one all the same`,
    );
  return [`${problem}; merged all the same, as --force says`];
}

/** Combine weights that a factor may restore. */
function rescaleMustHelp({ renormalise, topK, router }: MoeConfig, rescale: number): void {
  if (rescale === 1) return;
  if (renormalise && topK > 1)
    throw new MergeError(
      `--rescale ${rescale} restores probabilities that twice as many experts share, and this model divides those of its ${topK} choices by their sum (model.moe.router.renormalise): they are whole already; leave --rescale out`,
    );
  if (router.scores !== routerNames('scores')[0])
    throw new MergeError(
      `--rescale ${rescale} restores probabilities that twice as many experts share, and scores of ${router.scores} share nothing (model.moe.router.scores); leave --rescale out`,
    );
}

/** What happens to the tokens that experts choose by themselves is a matter of all of them: thresholds of two models do not fit together. */
function tokensMustChoose(moe: MoeConfig): void {
  if (expertsChoose(moe))
    throw new MergeError(
      `the experts of these models choose their tokens (model.moe.router.kind ${moe.router.kind}), by thresholds on probabilities among half as many experts; only models whose tokens choose are merged`,
    );
}

/**
 * Makes one model of two of one shape: the mean of what all tokens use, the experts of both, their routers' rows one below the other (those of
 * `a` first). Optimizer and clock are fresh; `train`, `data` and the division are those of `a`. Both stay as they are.
 *
 * @throws {OptionError} TROUPE_OPTION · {@link MergeError} TROUPE_MERGE naming what does not fit
 * @throws {CheckpointDamagedError} TROUPE_CHECKPOINT_DAMAGED
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID when no topology has so many experts
 * @see arXiv:2109.10465, aggregation of experts
 */
export async function mergeModels(
  a: ExpertModel,
  b: ExpertModel,
  options: MergeOptions,
): Promise<MergedModel> {
  checkOptions('mergeModels', options, rules);
  const { out, rescale = 1, force = false } = options;
  const say = (problem: string): MergeError => new MergeError(problem);
  const moe = expertsOf(a, say);
  expertsOf(b, say);
  shapesMustAgree(a, b);
  tokensMustChoose(moe);
  rescaleMustHelp(moe, rescale);
  const notes = parentsMustMeet(a, b, force);
  const tokenizer = await tokenizersMustAgree(a, b);
  const { groups } = moe.router;
  const rewritten = rewrittenTopology(a.topology, {
    experts: 2 * moe.experts,
    groups: groups === 1 ? 1 : 2 * groups,
    scale: moe.router.scale * rescale,
    out,
    isFresh: true,
  });
  const { topology } = rewritten;
  const tensors = sourcedTensors({
    from: a.topology.model,
    to: topology.model,
    numModels: 2,
    pick: allExperts(a.topology.model, 2),
    optimizer: null,
  });
  const { written, likeness } = await writeModelFolder(out, topology, (storage, folder) =>
    writeRecombined(
      {
        storage,
        folder,
        base: freshBase(topology, [a.checkpoint, b.checkpoint]),
        options: tokenizer === null ? {} : { tokenizer },
      },
      [a.checkpoint, b.checkpoint],
      tensors,
    ),
  );
  return {
    checkpoint: `${out.replace(/\/+$/u, '')}/${stepFolder(written.step)}`,
    experts: 2 * moe.experts,
    numParameters: numParameters(tensors),
    sizeBytes: written.sizeBytes,
    likeness,
    notes: [...notes, ...rewritten.notes],
  };
}
