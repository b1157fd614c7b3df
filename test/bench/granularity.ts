import { fileURLToPath } from 'node:url';
import { routerNames } from '@troupe/spec';
import type { ProfileEvent } from '@troupe/telemetry';
import { loadTopology } from '@troupe/topology';
import { interleave } from './interleave.ts';
import { median } from './median.ts';
import { profiledRun, WARM_UP_STEPS } from './profiled-run.ts';
import type { Section } from './results-page.ts';

const file = fileURLToPath(new URL('../../../test/bench/jobs/granular.yaml', import.meta.url));

/** Experts of a layer over those of a dense FFN. */
const EXPANSION = 8;
/** Sequences of a choice group where experts choose: all of a step. */
const GROUP = 16;

/** Parts of a step; `leaves` are within `experts.backward`: what its gradients take longer than with one grain. */
const parts = ['router', 'choice', 'moving rows', 'experts', 'leaves', 'the rest'] as const;
type Part = (typeof parts)[number];

type Router = 'token-choice' | 'expert-choice';

interface Setting {
  readonly router: Router;
  readonly granularity: number;
  /** 1: no part of a step is spent on leaves. */
  readonly grains: number;
}

export interface GranularityRow {
  readonly router: Router;
  readonly granularity: number;
  readonly experts: number;
  readonly width: number;
  /** Median of all steps, milliseconds. */
  readonly stepMs: number;
  readonly leastMs: number;
  /** Milliseconds of a step; together `stepMs` of the profiled steps. */
  readonly parts: Readonly<Record<Part, number>>;
}

export interface GranularityFound {
  readonly tokens: number;
  readonly rows: readonly GranularityRow[];
}

function partOf({ op, shape }: { readonly op: string; readonly shape: string }, experts: number): Part {
  if (op.startsWith('experts.')) return 'experts';
  if (op.startsWith('choice.')) return 'choice';
  if (op.startsWith('linear.') && new RegExp(`→${experts}(?:,|$)`, 'u').test(shape)) return 'router';
  if (op.startsWith('gate.') || op.startsWith('balance.')) return 'router';
  if (op.startsWith('route.') || op.startsWith('gather') || op.startsWith('combine')) return 'moving rows';
  return 'the rest';
}

/** Milliseconds of a step by part; what no kernel did is of the rest. */
export function partsOf(profile: ProfileEvent, experts: number): Record<Part, number> {
  const found = Object.fromEntries(parts.map((part) => [part, 0])) as Record<Part, number>;
  let kernels = 0;
  for (const line of profile.lines) {
    found[partOf(line, experts)] += line.ms;
    kernels += line.ms;
  }
  found['the rest'] += Math.max(0, profile.stepMs - kernels);
  return found;
}

/** Overrides of a setting. */
const overridesOf = ({ router, granularity, grains }: Setting): readonly string[] => [
  `model.moe.granularity=${granularity}`,
  `model.moe.experts=${EXPANSION * granularity}`,
  `model.moe.topK=${granularity}`,
  `train.grains=${grains}`,
  ...(router === 'token-choice'
    ? []
    : [`model.moe.router.kind=${router}`, `model.moe.router.groupSequences=${GROUP}`]),
];

/** Routers that are there: experts choose where that is built. */
const routers = (): readonly Router[] =>
  (['token-choice', 'expert-choice'] as const).filter((kind) =>
    (routerNames('kind', 'built') as readonly string[]).includes(kind),
  );

/**
 * Times a step of one model whose experts are finer and finer, while a token meets as many hidden units at each.
 *
 * @param rounds - fresh processes of each setting, all settings in turn
 */
export async function benchGranularity({
  size,
  rounds = size === 'full' ? 3 : 1,
}: {
  readonly size: 'small' | 'full';
  readonly rounds?: number;
}): Promise<GranularityFound> {
  const smaller = size === 'full' ? [] : ['model.layers=1', 'model.seqLen=32'];
  const granularities = size === 'full' ? [1, 2, 4, 8, 16, 32] : [1, 4];
  const { model, train } = loadTopology(file, { set: smaller });
  const settings = routers().flatMap((router) =>
    granularities.flatMap((granularity): Setting[] => [
      { router, granularity, grains: train.grains },
      { router, granularity, grains: 1 },
    ]),
  );
  const numSteps = WARM_UP_STEPS + (size === 'full' ? 10 : 2);
  const found = await interleave(settings, rounds, (setting) =>
    profiledRun({ file, overrides: [...smaller, ...overridesOf(setting)] }, { numSteps, isProfiled: true }),
  );
  const measured = found.map(({ rival, results }) => {
    const experts = EXPANSION * rival.granularity;
    const profiles = results.flatMap(({ profile }) => (profile === null ? [] : [profile]));
    const each = profiles.map((profile) => partsOf(profile, experts));
    const steps = results.flatMap(({ stepMs }) => stepMs);
    const medians = Object.fromEntries(
      parts.map((part) => [part, median(each.map((of) => of[part]))]),
    ) as Record<Part, number>;
    return { ...rival, experts, parts: medians, stepMs: median(steps), leastMs: Math.min(...steps) };
  });
  const rows = measured
    .filter(({ grains }) => grains > 1)
    .map(({ grains: _grains, ...row }): GranularityRow => {
      const oneLeaf = measured.find(
        ({ router, granularity, grains }) =>
          grains === 1 && router === row.router && granularity === row.granularity,
      );
      const leaves = Math.max(0, row.parts.experts - (oneLeaf?.parts.experts ?? Number.NaN));
      return {
        ...row,
        width: model.ffn.dFf / row.granularity,
        parts: { ...row.parts, leaves, experts: row.parts.experts - leaves },
      };
    });
  return { tokens: train.batch * model.seqLen, rows };
}

export function granularitySection({ tokens, rows }: GranularityFound): Section {
  const inMs = (ms: number): string => ms.toFixed(ms >= 100 ? 0 : 1);
  const first = (router: Router): number =>
    rows.find((row) => row.router === router && row.granularity === 1)?.stepMs ?? Number.NaN;
  const [drawn] = rows.slice(-1).map(({ router }) => router);
  const curves = rows.filter(({ router }) => router === drawn);
  const point = (of: (row: GranularityRow) => number) =>
    curves.map((row) => [row.granularity, of(row)] as const);
  return {
    title: 'Granularity',
    text: [
      `One worker of two threads, \`jobs/granular.yaml\`: a step of ${tokens} tokens, of which each meets the same number of hidden units whatever G; experts ${EXPANSION}·G. Medians; parts are those of profiled runs. Leaves: what the experts' gradients take longer with 8 grains than with one. The rest: attention, norms, head, optimizer, and what is outside kernels.`,
      ...(rows.some(({ router }) => router === 'expert-choice')
        ? []
        : ['', 'Expert choice is not built in this checkout: token choice alone.']),
      '',
      `| router | G | experts | width | step ms (least) | of G = 1 | ${parts.join(' | ')} |`,
      `|---|---|---|---|---|---|${'---|'.repeat(parts.length)}`,
      ...rows.map(
        ({ router, granularity, experts, width, stepMs, leastMs, parts: of }) =>
          `| ${router} | ${granularity} | ${experts} | ${width} | ${inMs(stepMs)} (${inMs(leastMs)}) | ${(stepMs / first(router)).toFixed(2)} | ${parts.map((part) => inMs(of[part])).join(' | ')} |`,
      ),
    ].join('\n'),
    ...(curves.length < 2
      ? {}
      : {
          chart: {
            file: 'granularity.svg',
            title: `A step of ${tokens} tokens by granularity, ${drawn}, active FLOPs fixed`,
            x: {
              title: 'granularity G (experts 8·G, each 1/G as wide)',
              isLog: true,
              ticks: curves.map(({ granularity }) => granularity),
              shown: String,
            },
            y: { title: 'milliseconds', isLog: false, shown: String },
            series: [
              { label: 'the step', points: point(({ stepMs }) => stepMs) },
              ...parts.map((part) => ({ label: part, points: point((row) => row.parts[part]) })),
            ],
          },
        }),
  };
}
