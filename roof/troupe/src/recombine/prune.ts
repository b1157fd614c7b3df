import { lineageOf, stepFolder, type ManifestBase } from '@troupe/checkpoint';
import { expertsChoose, moeLayers, type MoeConfig } from '@troupe/spec';
import type { ResolvedTopology } from '@troupe/topology';
import { PruneError } from '../errors.ts';
import { checkOptions, flag, required, rule, text, wholeNumber, type OptionRules } from '../option-rules.ts';
import type { LayerChoices } from '../trained-model.ts';
import { someExperts } from './expert-pick.ts';
import { corpusOf, expertsOf, freshBase, numParameters, type ExpertModel } from './expert-models.ts';
import { drawnExperts, mostChosen } from './kept-experts.ts';
import { writeModelFolder } from './model-folder.ts';
import { rewrittenTopology } from './rewritten-topology.ts';
import { sourcedTensors } from './tensor-sources.ts';
import { writeRecombined } from './write-recombined.ts';

export interface PruneOptions {
  /** Folder for the checkpoint and its topology; nothing of that name exists yet. */
  readonly out: string;
  /** Experts of each layer that stay. */
  readonly keep: number;
  /** The most chosen ones of these counts, as `TrainedModel.evaluate` gives them; or by lot, with a seed. */
  readonly by: readonly LayerChoices[] | { readonly seed: number };
  /** What the optimizer keeps goes along, and the step: the run can be resumed. Default false: weights alone, at step 0. */
  readonly keepOptimizer?: boolean;
}

/** A model that lost experts. */
export interface PrunedModel {
  /** Of the checkpoint: `models/half/step-000000`. */
  readonly checkpoint: string;
  /** Of each layer with experts, the global indices of those that stayed. */
  readonly kept: readonly { readonly layer: number; readonly experts: readonly number[] }[];
  readonly numParameters: number;
  /** Of the model as it was. */
  readonly numParametersBefore: number;
  readonly sizeBytes: number;
  readonly notes: readonly string[];
}

const rules: OptionRules<PruneOptions> = {
  out: required(text('the path of a folder')),
  keep: required(wholeNumber(1, 'experts of a layer that stay')),
  by: required(
    rule('counts of choices, or { seed }', (value) => typeof value === 'object' && value !== null),
  ),
  keepOptimizer: flag,
};

function keepMustBeLegal({ experts, topK, router }: MoeConfig, keep: number): void {
  const problem =
    keep > experts
      ? `${keep} experts cannot be kept of ${experts}`
      : keep < topK
        ? `a token chooses ${topK} experts (model.moe.topK), more than the ${keep} to be kept; keep at least ${topK}`
        : keep % router.groups !== 0
          ? `${keep} experts are not divisible by ${router.groups} routing groups (model.moe.router.groups), which keep equally many; nearest: ${Math.max(1, Math.round(keep / router.groups)) * router.groups}`
          : (keep / router.groups) * router.topGroups < topK
            ? `${router.topGroups} groups of ${keep / router.groups} experts are fewer than the ${topK} that a token chooses (model.moe.topK); keep at least ${Math.ceil(topK / router.topGroups) * router.groups}`
            : null;
  if (problem !== null) throw new PruneError(problem);
}

/**
 * Whether a model can lose experts at all, and as many; for those who would count choices before.
 *
 * @throws {PruneError} TROUPE_PRUNE naming what is in the way
 */
export function mustBePrunable(model: ExpertModel, keep: number, keepOptimizer = false): MoeConfig {
  const moe = expertsOf(model, (problem) => new PruneError(problem));
  if (expertsChoose(moe))
    throw new PruneError(
      `the experts of ${model.folder} choose their tokens (model.moe.router.kind ${moe.router.kind}): each takes as many, so none is used less; only models whose tokens choose are pruned`,
    );
  keepMustBeLegal(moe, keep);
  if (keepOptimizer && model.checkpoint.manifest.tensors.every(({ group }) => group === 'weights'))
    throw new PruneError(`${model.folder} holds weights alone: there is no optimizer to keep`);
  return moe;
}

/** The manifest of a run that goes on; experts that had moved are dealt again. */
function resumedBase({ checkpoint }: ExpertModel, topology: ResolvedTopology): ManifestBase {
  const { step, trajectory, dataCursor, rngKeys } = checkpoint.manifest;
  const { experts: _moved, ...kept } = trajectory as { readonly experts?: unknown };
  return {
    step,
    topology: topology.portable,
    trajectory: kept,
    dataCursor,
    rngKeys,
    ...corpusOf([checkpoint]),
    parents: lineageOf(checkpoint.manifest),
  };
}

/**
 * Makes a model of some experts of another: of each layer as many, with their rows of the router, and all that tokens share. The model stays
 * as it is.
 *
 * @throws {OptionError} TROUPE_OPTION · {@link PruneError} TROUPE_PRUNE naming what is in the way
 * @throws {CheckpointDamagedError} TROUPE_CHECKPOINT_DAMAGED
 * @see arXiv:2109.10465, pruning of experts
 */
export async function pruneModel(model: ExpertModel, options: PruneOptions): Promise<PrunedModel> {
  checkOptions('pruneModel', options, rules);
  const { out, keep, by, keepOptimizer = false } = options;
  const { checkpoint } = model;
  const moe = mustBePrunable(model, keep, keepOptimizer);
  const { model: from, train } = model.topology;
  const kept = moeLayers(from).map((layer) => ({
    layer,
    experts: 'seed' in by ? drawn(moe, layer, by.seed, keep) : chosen(moe, layer, by, keep),
  }));
  const { topology, notes } = rewrittenTopology(model.topology, {
    experts: keep,
    groups: moe.router.groups,
    scale: moe.router.scale,
    out,
    isFresh: !keepOptimizer,
  });
  const pick = someExperts(new Map(kept.map(({ layer, experts }) => [layer, experts])));
  const optimizer = keepOptimizer ? train.optimizer.kind : null;
  const tensors = sourcedTensors({ from, to: topology.model, numModels: 1, pick, optimizer });
  const tokenizer = await checkpoint.tokenizer();
  const base = keepOptimizer ? resumedBase(model, topology) : freshBase(topology, [checkpoint]);
  const { written } = await writeModelFolder(out, topology, (storage, folder) =>
    writeRecombined(
      { storage, folder, base, options: tokenizer === null ? {} : { tokenizer } },
      [checkpoint],
      tensors,
    ),
  );
  const restarts = tensors.some(({ source }) => source.kind === 'zero');
  return {
    checkpoint: `${out.replace(/\/+$/u, '')}/${stepFolder(written.step)}`,
    kept,
    numParameters: numParameters(tensors),
    numParametersBefore: checkpoint.manifest.tensors
      .filter(({ group }) => group === 'weights')
      .reduce((sum, { shape }) => sum + shape.reduce((product, each) => product * each, 1), 0),
    sizeBytes: written.sizeBytes,
    notes: [
      ...notes,
      ...(restarts ? ["Adafactor's statistics of the routers restart: they were sums over all experts"] : []),
    ],
  };
}

const keptOf = ({ router: { groups } }: MoeConfig, keep: number) => ({ keep, groups });

const drawn = (moe: MoeConfig, layer: number, seed: number, keep: number): readonly number[] =>
  drawnExperts({ seed, layer, experts: moe.experts }, keptOf(moe, keep));

function chosen(
  moe: MoeConfig,
  layer: number,
  choices: readonly LayerChoices[],
  keep: number,
): readonly number[] {
  const counts = choices.find((each) => each.layer === layer)?.counts;
  if (counts?.length !== moe.experts)
    throw new PruneError(
      `the counts have ${counts?.length ?? 'nothing'} for layer ${layer}, expected one for each of ${moe.experts} experts`,
    );
  return mostChosen(counts, keptOf(moe, keep));
}
