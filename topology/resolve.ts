import { expertsChoose, type ModelConfig } from '@troupe/spec';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { Composed } from './compose.ts';
import { originOf, valueLayer, type Layer } from './document.ts';
import { TopologyError } from './errors.ts';
import { expertWidth, fillDefaults, type FilledTopology } from './fill.ts';
import { offloadOf } from './host-targets.ts';
import { KeySet } from './key-set.ts';
import { applyOverride } from './layers.ts';
import { limits } from './limits.ts';
import { areJoining, resolveMachines } from './machines.ts';
import { nearestName } from './nearest.ts';
import { areExpertsSliced, placedWorkers } from './placed-workers.ts';
import { createPlacement } from './placement.ts';
import { misplacedActors } from './misplaced-actors.ts';
import { unmatched } from './placement-rules.ts';
import type { TopologyProblem } from './problem.ts';
import type {
  DataSource,
  ParallelOrigin,
  ResolvedData,
  ResolvedJoining,
  ResolvedLauncher,
  ResolvedTask,
  ResolvedTopology,
} from './resolved.ts';
import type { Finding } from './finding.ts';
import { faultsByNumber } from './fault-rules.ts';
import { crossKeyFindings } from './rules.ts';
import type { TopologyValues } from './schema.ts';
import { validateKeys } from './validate.ts';

function modelConfig({ model }: FilledTopology): ModelConfig {
  const { moe } = model;
  return {
    vocab: model.vocab,
    layers: model.layers,
    encoder: model.encoder,
    positions: model.positions,
    dModel: model.dModel,
    heads: model.heads,
    kvHeads: model.kvHeads,
    headDim: model.headDim,
    mla: model.mla,
    seqLen: model.seqLen,
    norm: { kind: model.norm, eps: model.normEps },
    qkNorm: model.qkNorm,
    rope: { theta: model.rope.theta },
    relative: { buckets: model.relative.buckets, maxDistance: model.relative.maxDistance },
    tiedHead: model.tiedHead,
    init: { scale: model.init.scale, embedding: model.init.embedding },
    ffn: { activation: model.ffn.kind, dFf: model.ffn.dFf },
    moe:
      moe === null
        ? null
        : {
            every: moe.every,
            firstDense: moe.firstDense,
            experts: moe.experts,
            topK: moe.topK,
            dExpert: expertWidth(model.ffn.dFf, moe),
            sharedExperts: moe.sharedExperts,
            router: {
              kind: moe.router.kind,
              scores: moe.router.scores,
              groups: moe.router.groups,
              topGroups: moe.router.topGroups,
              scale: moe.router.scale,
              groupSequences: moe.router.groupSequences,
              generate: moe.router.generate,
              sampling: moe.router.sampling,
              jitter: moe.router.jitter,
            },
            capacity: moe.capacity,
            norm: moe.norm,
            renormalise: moe.router.renormalise && !expertsChoose(moe),
            choice: moe.router.choice,
            balance: {
              // Every expert has as many tokens.
              auxLoss: expertsChoose(moe) ? 0 : moe.balance.auxLoss,
              zLoss: moe.balance.zLoss,
              scope: moe.balance.scope,
              domain: moe.balance.domain,
              layers: moe.balance.layers,
              bias: moe.balance.bias,
            },
          },
  };
}

type Located = (key: string, path: string) => string;
const originPaths = ['source', 'target', 'file', 'folder'] as const;

const origins = (
  written: NonNullable<FilledTopology['data']['parallel']>,
  locate: Located,
): readonly ParallelOrigin[] =>
  written.map((origin, index) => ({
    ...origin,
    ...Object.fromEntries(
      originPaths.flatMap((name) => {
        const path = origin[name];
        return path === undefined ? [] : [[name, locate(`data.parallel.${index}.${name}`, path)]];
      }),
    ),
  }));

const tasksOf = (written: NonNullable<FilledTopology['data']['tasks']>): readonly ResolvedTask[] =>
  written.map(({ noise, ...task }) =>
    noise === undefined ? task : { ...task, noise: typeof noise === 'string' ? [noise] : noise },
  );

/** Paths are relative to the file that names them; those of a flag to the working directory. */
function resolveData({ data }: FilledTopology, layer: Layer): ResolvedData {
  const locate = (key: string, path: string): string => {
    const file = originOf(layer, key).value.file;
    return file === null || isAbsolute(path) ? path : join(dirname(file), path);
  };
  const paths = (key: string, value: string | readonly string[]): readonly string[] =>
    (typeof value === 'string' ? [value] : value).map((path) => locate(key, path));
  let source: DataSource = { kind: 'wordnet' };
  if (data.text !== undefined) source = { kind: 'text', paths: paths('data.text', data.text) };
  if (data.jsonl !== undefined)
    source = { kind: 'jsonl', paths: paths('data.jsonl', data.jsonl), field: data.field ?? 'text' };
  if (data.parquet !== undefined) source = { kind: 'parquet', paths: paths('data.parquet', data.parquet) };
  if (data.tokens !== undefined) source = { kind: 'tokens', paths: paths('data.tokens', data.tokens) };
  if (data.synthetic !== undefined) source = { kind: 'synthetic', distribution: data.synthetic };
  if (data.parallel !== undefined)
    source = { kind: 'parallel', sources: origins(data.parallel, locate), tasks: tasksOf(data.tasks ?? []) };
  const { kind, vocab, file } = data.tokenizer;
  const tokenizer = { kind, vocab, file: file === undefined ? null : locate('data.tokenizer.file', file) };
  return { source, tokenizer, holdout: data.holdout, ship: data.ship };
}

const valueAt = (file: unknown, key: string): unknown =>
  key
    .split('.')
    .reduce<unknown>(
      (node, segment) => (node as Readonly<Record<string, unknown>> | null | undefined)?.[segment],
      file,
    );

function toProblem(layer: Layer, file: FilledTopology, finding: Finding): TopologyProblem {
  const { keys, ...rest } = finding;
  const written = keys.find((key) => layer.origins.has(key)) ?? keys[0];
  return {
    ...originOf(layer, written).value,
    ...rest,
    key: keys[0],
    value: valueAt(layer.value, keys[0]) ?? valueAt(file, keys[0]),
  };
}

/** @see {@link ResolvedTopology.portable} */
function portableFile(file: FilledTopology, { machines, parallel }: TopologyValues): object {
  const { machines: _filled, metrics, ...rest } = file;
  return {
    ...rest,
    // A manifest of a run without other sinks is the one that it always was.
    ...(metrics.some((name) => name !== 'jsonl') ? { metrics } : {}),
    parallel,
    ...(machines === undefined ? {} : { machines }),
  };
}

const joiningOf = ({ machines }: FilledTopology): ResolvedJoining | null =>
  areJoining(machines) ? { min: machines.min, spares: machines.spares } : null;

function launcherOf({ launcher }: FilledTopology): ResolvedLauncher | null {
  if (launcher === undefined) return null;
  const { command = null, workdir = null, env = {}, prelude = null } = launcher.ssh ?? {};
  return { kind: launcher.kind, ssh: { command, workdir, env, prelude } };
}

function build(
  file: FilledTopology,
  values: TopologyValues,
  layer: Layer,
  source: ResolvedTopology['source'],
): ResolvedTopology {
  const { dp, ep, pp, tp } = file.parallel;
  const { expertWorkers, devices } = placedWorkers(file).placed;
  return {
    name: file.name,
    model: modelConfig(file),
    data: resolveData(file, layer),
    train: file.train,
    parallel: {
      ...file.parallel,
      edp: (expertWorkers === 0 ? dp : expertWorkers) / ep,
      world: dp * pp * tp + expertWorkers,
      expertWorkers,
      devices,
      offload: offloadOf(file),
      stages: file.parallel.stages ?? null,
      expertsSliced: areExpertsSliced(file),
    },
    machines: resolveMachines(file.machines),
    joining: joiningOf(file),
    launcher: launcherOf(file),
    device: file.device,
    placement: file.placement,
    checkpoint: file.checkpoint,
    metrics: file.metrics,
    wire: file.wire,
    links: file.links,
    faults: faultsByNumber(file),
    recovery: file.recovery,
    eval: file.eval,
    file,
    portable: portableFile(file, values),
    source,
  };
}

/** Placement rules that no actor obeys are mistakes of spelling. */
function idleRules(resolved: ResolvedTopology, layer: Layer): readonly TopologyProblem[] {
  const patterns = Object.keys(resolved.placement);
  if (patterns.length === 0) return [];
  const placement = createPlacement(resolved);
  const elsewhere = misplacedActors(resolved, placement);
  if (elsewhere.length > 0)
    return elsewhere.map(({ pattern, rule }) => ({
      ...originOf(layer, `placement.${pattern}`).key,
      code: 'TROUPE_TOPOLOGY_PLACEMENT',
      key: `placement.${pattern}`,
      value: resolved.placement[pattern],
      rule,
      nearest: null,
    }));
  const addresses = placement.actors.map((actor) => actor.address);
  return unmatched(patterns, addresses).map((pattern) => ({
    ...originOf(layer, `placement.${pattern}`).key,
    code: 'TROUPE_TOPOLOGY_PLACEMENT',
    key: `placement.${pattern}`,
    value: resolved.placement[pattern],
    rule: 'matches no actor; addresses look like expert/L0/ep0/edp0',
    nearest: null,
  }));
}

/** Faults aimed at actors that do not exist. */
function idleFaults(resolved: ResolvedTopology, layer: Layer): readonly TopologyProblem[] {
  const named = resolved.faults.flatMap((fault, index) => [
    ...(/^(?:worker|host|agent|machine|disk)\b|,/.test(fault.target)
      ? []
      : [{ key: `faults.${index}.target`, name: fault.target, isPattern: false }]),
    ...(fault.when === undefined
      ? []
      : [{ key: `faults.${index}.when.actor`, name: fault.when.actor, isPattern: true }]),
  ]);
  if (named.length === 0) return [];
  const addresses = createPlacement(resolved).actors.map((actor) => actor.address as string);
  const known = new Set(addresses);
  const idle = new Set(unmatched([...new Set(named.map(({ name }) => name))], addresses));
  return named
    .filter(({ name, isPattern }) => (isPattern ? idle.has(name) : !known.has(name)))
    .map(({ key, name }, position) => ({
      ...originOf(layer, key).value,
      code: 'TROUPE_TOPOLOGY_RANGE',
      key,
      value: name,
      rule: 'there is no such actor; addresses look like expert/L0/ep0/edp0',
      nearest: position < limits.problems ? nearestName(name, addresses) : null,
    }));
}

const byPlace = (a: TopologyProblem, b: TopologyProblem): number =>
  (a.file ?? '').localeCompare(b.file ?? '') ||
  (a.line ?? 0) - (b.line ?? 0) ||
  (a.column ?? 0) - (b.column ?? 0);

/**
 * Judges a composed topology and fills every default.
 *
 * Rules between keys are judged even when other keys are wrong, unless they look at a wrong one.
 *
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID with every problem, in the order of the files
 */
export function resolveComposed(
  composed: Composed,
  options: { readonly path: string | null; readonly set: readonly string[] },
): ResolvedTopology {
  const { layer } = composed;
  const unreadable = composed.problems.filter((problem) => problem.code !== 'TROUPE_TOPOLOGY_OVERRIDE');
  if (unreadable.length > 0) throw new TopologyError([...composed.problems].sort(byPlace));
  const { values, problems: keyProblems } = validateKeys(layer);
  const path = options.path;
  const file = fillDefaults(
    values,
    path === null
      ? 'run'
      : basename(path)
          .replace(/\.[^.]*$/, '')
          .replace(/[^A-Za-z0-9._-]/g, '-') || 'run',
  );
  const problems = [...composed.problems, ...keyProblems];
  const wrong = new KeySet(
    keyProblems.filter(({ code }) => code !== 'TROUPE_TOPOLOGY_UNKNOWN_KEY').map(({ key }) => key),
  );
  const judged = crossKeyFindings(file, values).filter(
    (finding) => !finding.keys.some((key) => wrong.covers(key) || wrong.isAbove(key)),
  );
  problems.push(...judged.map((finding) => toProblem(layer, file, finding)));
  if (problems.length > 0) throw new TopologyError(problems.sort(byPlace));
  const places = Object.fromEntries(
    [...layer.origins].filter(([key]) => key !== '').map(([key, origin]) => [key, origin.value]),
  );
  const resolved = build(file, values, layer, {
    path,
    files: composed.files,
    overrides: options.set,
    places,
  });
  const idle = [...idleRules(resolved, layer), ...idleFaults(resolved, layer)];
  if (idle.length > 0) throw new TopologyError(idle);
  return resolved;
}

/**
 * Resolves a topology that is a value already: a program's own object, or the `file` of a manifest.
 *
 * @param options - `set`: overrides `a.b.c=value`, applied in order over the value
 * @throws {TopologyError} TROUPE_TOPOLOGY_INVALID with every problem
 */
export function resolveTopology(
  value: unknown,
  options: { readonly set?: readonly string[] } = {},
): ResolvedTopology {
  const set = options.set ?? [];
  const problems: TopologyProblem[] = [];
  let layer = valueLayer(value);
  for (const override of set) {
    const applied = applyOverride(layer, override);
    layer = applied.layer;
    problems.push(...applied.problems);
  }
  return resolveComposed({ layer, problems, files: [] }, { path: null, set });
}
