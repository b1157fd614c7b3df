import {
  bestForActive,
  coarseOverFine,
  denseAtFlops,
  denseOverMoe,
  expertCounts,
  granularities,
  granularLawOf,
  jointOptimum,
  optimumAtFlops,
  ScalingBudgetError,
  switchPoint,
  type FlopsCost,
  type GranularOptimum,
  type JointOptimum,
  type LawSet,
} from '@troupe/scaling';
import { table } from '@troupe/topology';
import { UsageError } from '../errors.ts';
import { print, printJson } from '../output.ts';
import type { CommonOptions } from '../verb.ts';
import { figure } from './figure.ts';
import { expansionOf, lawOfFlags, warn, warningsOf, type LawFlags } from './law-flag.ts';
import { formatWritten, writeBudget, type AskedBudget, type WrittenBudget } from './write-budget.ts';

export interface OptimalFlags extends CommonOptions, LawFlags {
  readonly flops?: number;
  readonly active?: number;
  readonly granularity?: number;
  readonly routerFlops: number;
  readonly memory?: number;
  readonly inferenceTokens?: number;
  readonly write?: string;
  readonly batchTokens: number;
  readonly seqLen: number;
  readonly force?: boolean;
}

/** Budgets that laws are asked about: from a toy to far beyond anything that was trained. */
const flopsRange = { least: 1e9, most: 1e30 };

/** FLOPs of a matrix weight and token. */
const MATRIX = 6;

interface Answer {
  /** For people: what stands above the table, the table, and what follows from it. */
  readonly lines: readonly string[];
  readonly json: object;
  readonly best: AskedBudget;
  readonly cost: FlopsCost;
  /** For the head of a file. */
  readonly said: string;
}

const row = (
  mark: boolean,
  first: number,
  each: Omit<GranularOptimum, 'granularity' | 'shape'>,
): readonly string[] => [
  `${mark ? '*' : ' '} ${first}`,
  figure(each.paramsActive),
  figure(each.params),
  figure(each.tokens),
  each.loss.toFixed(4),
];

const jsonOf = ({ shape, params, ...rest }: GranularOptimum) => ({
  ...rest,
  paramsTotal: params,
  dModel: shape.dModel,
});

const times = (ratio: number | null, who: string): string =>
  ratio === null
    ? `${who} never reach this loss`
    : `${who} need ${ratio.toFixed(2)} times the FLOPs for this loss`;

function granularAnswer(set: LawSet, flags: OptimalFlags): Answer {
  const expansion = expansionOf(set, flags);
  const cost = { matrix: MATRIX, router: flags.routerFlops };
  const problem = { law: granularLawOf(set), expansion, cost };
  const among = flags.granularity === undefined ? granularities : [flags.granularity];
  const forActive = flags.active === undefined ? null : bestForActive(problem, flags.active, among);
  const flops = flags.flops ?? forActive?.flops;
  if (flops === undefined)
    throw new ScalingBudgetError(
      `--active ${figure(flags.active ?? 0)}: no budget between 1e9 and 1e40 FLOPs is best spent on a model of that size; name --flops`,
    );
  const all = among.map((granularity) => optimumAtFlops(problem, flops, granularity));
  const best = forActive ?? all.reduce((least, each) => (each.loss < least.loss ? each : least));
  const dense = set.dense === undefined ? null : denseAtFlops(set.dense, flops, cost);
  const savings = {
    dense: set.dense === undefined ? null : denseOverMoe(set.dense, best, cost),
    coarse: coarseOverFine(problem, best),
  };
  // Between these FLOPs neither half nor twice the granularity is better.
  const isBest =
    flags.granularity === undefined
      ? {
          from: best.granularity === 1 ? null : switchPoint(problem, best.granularity),
          to: switchPoint(problem, best.granularity * 2),
        }
      : null;
  const shown = table(
    ['  G', 'active', 'total', 'tokens', 'loss'],
    all.map((each) => row(each.granularity === best.granularity, each.granularity, each)),
    0,
  );
  return {
    lines: [
      `law     ${set.name} (${set.source})`,
      `budget  ${flops.toExponential(2)} FLOPs; experts of a layer have ${expansion} times the parameters of a dense FFN`,
      '',
      shown,
      '',
      `best    G ${best.granularity}: ${figure(best.paramsActive)} active parameters, ${figure(best.tokens)} tokens, loss ${best.loss.toFixed(4)}`,
      ...(isBest === null
        ? []
        : [
            `        G ${best.granularity} is the best ${isBest.from === null ? '' : `from ${isBest.from.toExponential(2)} `}up to ${isBest.to?.toExponential(2) ?? 'any number of'} FLOPs`,
          ]),
      ...(dense === null
        ? []
        : [
            `dense   ${figure(dense.params)} parameters, ${figure(dense.tokens)} tokens, loss ${dense.loss.toFixed(4)}; ${times(savings.dense, 'dense models')}`,
          ]),
      `coarse  ${times(savings.coarse, 'whole experts (G 1)')}`,
    ],
    json: {
      flops,
      expansion,
      best: jsonOf(best),
      bestBetween: isBest,
      byGranularity: all.map(jsonOf),
      dense: dense === null ? null : { paramsActive: dense.params, tokens: dense.tokens, loss: dense.loss },
      savings,
    },
    best: { ...best, expansion },
    cost,
    said: `${flops.toExponential(2)} FLOPs by the law '${set.name}' (${set.source}); it expects a loss of ${best.loss.toFixed(3)}.`,
  };
}

function jointAnswer(set: LawSet, law: NonNullable<LawSet['joint']>, flags: OptimalFlags): Answer {
  const { flops, memory, inferenceTokens } = flags;
  if (flops === undefined)
    throw new UsageError(`--active: the law '${set.name}' is solved for --flops alone`);
  if (flags.granularity !== undefined && flags.granularity !== 1)
    throw new UsageError(`--granularity: '${set.name}' is a law of whole experts; leave it out`);
  const constraints = {
    flops,
    ...(memory === undefined ? {} : { paramsMost: memory }),
    ...(inferenceTokens === undefined ? {} : { inferenceTokens }),
  };
  const among = flags.experts === undefined ? expertCounts : [flags.experts];
  const all = among.map((experts) => jointOptimum(law, constraints, experts));
  const best = all.reduce((least, each) => (each.loss < least.loss ? each : least));
  const bounds = [
    ...(memory === undefined ? [] : [`at most ${figure(memory)} parameters`]),
    ...(inferenceTokens === undefined ? [] : [`${figure(inferenceTokens)} tokens of inference paid from it`]),
  ];
  const jsonOfJoint = ({ params, ...rest }: JointOptimum) => ({ ...rest, paramsTotal: params });
  const training = MATRIX * best.paramsActive * best.tokens;
  return {
    lines: [
      `law     ${set.name} (${set.source})`,
      `budget  ${[`${flops.toExponential(2)} FLOPs`, ...bounds].join('; ')}`,
      '',
      table(
        ['  experts', 'active', 'total', 'tokens', 'loss'],
        all.map((each) => row(each === best, each.experts, each)),
        0,
      ),
      '',
      `best    ${best.experts} experts: ${figure(best.paramsActive)} active parameters, ${figure(best.tokens)} tokens, loss ${best.loss.toFixed(4)}`,
    ],
    json: { flops, best: jsonOfJoint(best), byExperts: all.map(jsonOfJoint) },
    best: { ...best, granularity: 1, expansion: best.experts, flops: training },
    // This law counts no routers.
    cost: { matrix: MATRIX, router: 0 },
    said: `${flops.toExponential(2)} FLOPs by the law '${set.name}' (${set.source}); it expects a loss of ${best.loss.toFixed(3)}.`,
  };
}

export async function optimal(flags: OptimalFlags): Promise<void> {
  if ((flags.flops === undefined) === (flags.active === undefined))
    throw new UsageError('name one of --flops (a budget) and --active (a size whose budget is looked for)');
  const { least, most } = flopsRange;
  if (flags.flops !== undefined && !(flags.flops >= least && flags.flops <= most))
    throw new ScalingBudgetError(
      `--flops ${flags.flops.toExponential(2)}: laws are asked about budgets from ${least.toExponential()} to ${most.toExponential()}`,
    );
  const set = lawOfFlags(flags);
  const isJoint = set.granular === undefined && set.joint !== undefined;
  if (!isJoint && (flags.memory !== undefined || flags.inferenceTokens !== undefined))
    throw new UsageError('--memory and --inference-tokens need a law of memory and inference: --law joint');
  const answer =
    isJoint && set.joint !== undefined ? jointAnswer(set, set.joint, flags) : granularAnswer(set, flags);
  const { best, cost } = answer;
  const warnings = warningsOf(set, best, best.expansion);
  const written: WrittenBudget | null =
    flags.write === undefined
      ? null
      : await writeBudget(flags.write, best, flags, cost, [
          answer.said,
          ...warnings.map((each) => `Warning: ${each}.`),
        ]);
  const isJson = flags.json === true;
  const all = [...warnings, ...(written?.misses ?? [])];
  if (isJson) {
    const wrote = written === null ? null : { file: written.file, sizes: written.sizes };
    printJson({ event: 'optimal', law: set.name, ...answer.json, written: wrote, warnings: all });
  } else {
    print(...answer.lines);
    if (written !== null)
      print(
        '',
        formatWritten(written),
        '',
        `wrote ${written.file}; next: npx troupe plan ${written.file}, then npx troupe launch ${written.file}`,
      );
  }
  warn(all, isJson);
}
