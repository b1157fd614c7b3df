import type { KernelOp, Precision } from '@troupe/kernel-set';
import { DEFAULT_RUNS, type ConformanceBody } from './body.ts';
import { productOps } from './in-bf16.ts';
import { operationCases } from './operation-cases.ts';
import { operationErrors, toleranceOf } from './operation-errors.ts';

/** A cell of the table. */
export interface BodyError {
  /** Largest of the outputs that are not exact; 0 where all are, because an exact one may not differ. */
  readonly error: number;
  /** The output that it is of; empty where all are exact. */
  readonly output: string;
  /** What fast-check said when the body was outside its tolerance; null otherwise. */
  readonly failure: string | null;
}

export interface ErrorTable {
  readonly precision: Precision;
  readonly seed: number;
  readonly bodies: readonly ConformanceBody[];
  readonly rows: readonly { readonly op: KernelOp; readonly cells: readonly BodyError[] }[];
}

/** Largest error of every operation (in bf16: of those with products) on every body, each on the same cases. */
export async function errorTable(
  bodies: readonly ConformanceBody[],
  seed: number,
  precision: Precision = 'f32',
): Promise<ErrorTable> {
  const rows: { op: KernelOp; cells: BodyError[] }[] = [];
  const ops = precision === 'bf16' ? productOps : (Object.keys(operationCases) as KernelOp[]);
  for (const op of ops) {
    const cells: BodyError[] = [];
    for (const body of bodies) cells.push(await cell(op, body, seed, precision));
    rows.push({ op, cells });
  }
  return { precision, seed, bodies, rows };
}

async function cell(
  op: KernelOp,
  body: ConformanceBody,
  seed: number,
  precision: Precision,
): Promise<BodyError> {
  try {
    const inexact = (await operationErrors(op, body, seed, precision)).filter(({ kind }) => kind !== 'exact');
    const worst = inexact.reduce<BodyError>(
      (largest, { name, error }) =>
        error >= largest.error ? { error, output: name, failure: null } : largest,
      { error: 0, output: '', failure: null },
    );
    return worst;
  } catch (error) {
    return { error: Infinity, output: '', failure: error instanceof Error ? error.message : String(error) };
  }
}

const written = ({ error, output, failure }: BodyError): string => {
  if (failure !== null) return '**outside**';
  if (output === '') return 'exact';
  return error === 0 ? '0' : error.toExponential(1);
};

export function formatErrorTable({ precision, seed, bodies, rows }: ErrorTable): string {
  const failures = rows.flatMap(({ op, cells }) =>
    cells.flatMap(({ failure }, i) =>
      failure === null ? [] : [`### ${op} on ${bodies[i]!.name}\n\n\`\`\`\n${failure}\n\`\`\``],
    ),
  );
  const allowed = new Map<string, Set<string>>();
  for (const { op } of rows) {
    for (const body of bodies) {
      const { forward, gradient } = toleranceOf(op, body, precision);
      const limits = `${forward} in outputs and ${gradient} in gradients, ${body.numRuns ?? DEFAULT_RUNS} cases`;
      const what = precision === 'bf16' ? op : body.name;
      allowed.set(limits, (allowed.get(limits) ?? new Set()).add(what));
    }
  }
  return [
    `Seed ${seed}. Allowed:`,
    '',
    ...[...allowed].map(([limits, names]) => `- ${limits}: ${[...names].join(', ')}`),
    '',
    `| operation | ${bodies.map(({ name }) => name).join(' | ')} |`,
    `|---|${'---|'.repeat(bodies.length)}`,
    ...rows.map(({ op, cells }) => `| ${op} | ${cells.map(written).join(' | ')} |`),
    ...failures.flatMap((failure) => ['', failure]),
  ].join('\n');
}
