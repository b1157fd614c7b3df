import type { Plan, PlannedNode, StepTime } from './plan.ts';
import type { PlanDiff } from './diff.ts';
import { trafficKinds, type TrafficBytes } from './traffic.ts';
import { connectionProblems, type ProcessLimits } from './connections.ts';
import { formatProblem } from '../problem.ts';
import type { DeviceMemory } from './memory.ts';
import { formatBytes, formatCount, table } from './table.ts';

/** `gate/L0/pp0/dp1, gate/L1/pp0/dp1` → `gate/L0-1/pp0/dp1`; only neighbours of one family are joined. */
export function foldAddresses(actors: readonly string[]): readonly string[] {
  const families = new Map<string, number[]>();
  const folded: (string | { readonly family: string })[] = [];
  for (const actor of actors) {
    const layer = /\/L(\d+)\//.exec(actor)?.[1];
    if (layer === undefined) {
      folded.push(actor);
      continue;
    }
    const family = actor.replace(/\/L\d+\//, '/L#/');
    const layers = families.get(family);
    if (layers === undefined) {
      families.set(family, [Number(layer)]);
      folded.push({ family });
    } else {
      layers.push(Number(layer));
    }
  }
  return folded.map((each) =>
    typeof each === 'string' ? each : each.family.replace('#', ranges(families.get(each.family) ?? [])),
  );
}

/** [0, 1, 2, 5] → `0-2,5`. */
function ranges(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const n of [...numbers].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === n - 1) last[1] = n;
    else runs.push([n, n]);
  }
  return runs.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(',');
}

const describeDevice = (node: PlannedNode): string =>
  node.device === null
    ? '-'
    : `${node.device}${node.threads === 1 || node.threads === null ? '' : `/threads=${node.threads}`}`;

const trafficCells = (bytes: TrafficBytes): readonly string[] =>
  [...trafficKinds.map((kind) => bytes[kind]), bytes.total].map(formatBytes);

const trafficHead = [...trafficKinds, 'sum'];

/** Rows of nodes whose cells are the same, joined: `worker/0-7`. */
function joined(rows: readonly (readonly [string, ...string[]])[]): readonly (readonly string[])[] {
  const groups = new Map<string, { readonly nodes: number[]; readonly cells: readonly string[] }>();
  for (const [node, ...cells] of rows) {
    const key = cells.join(' ');
    const group = groups.get(key) ?? { nodes: [], cells };
    group.nodes.push(Number(node.split('/')[1]));
    groups.set(key, group);
  }
  return [...groups.values()].map(({ nodes, cells }) => [`worker/${ranges(nodes)}`, ...cells]);
}

const ownColumns = {
  weights: 'weights',
  gradients: 'gradients',
  master: 'master',
  moments: 'moments',
  buddies: 'buddies',
  kept: 'activations*',
  recomputed: 'recomputed*',
  buffers: 'buffers',
  device: 'device',
  host: 'host',
} as const satisfies Readonly<Record<Exclude<keyof DeviceMemory['own'], 'activations'>, string>>;

const papersColumns = {
  parameters: 'parameters',
  gradients: 'gradients',
  master: 'master',
  moments: 'moments',
  buddies: 'buddies',
  device: 'device',
  host: 'host',
} as const satisfies Readonly<Record<keyof DeviceMemory['papers']['mixed'], string>>;

/** Both streams of an encoder and a decoder, and what travels of them. */
function streamLines({ topology: { model, train, parallel }, pipeline }: Plan): readonly string[] {
  const { encoder } = model;
  if (encoder === null) return [];
  const layers = (from: number, to: number): string =>
    ranges(Array.from({ length: to - from }, (_, index) => from + index));
  const sequences = train.batch / parallel.dp / pipeline.microbatches;
  const bytes = (positions: number): string => formatBytes(4 * sequences * positions * model.dModel);
  const source = bytes(encoder.seqLen);
  return [
    `Encoder: layers ${layers(0, encoder.layers)}, ${encoder.seqLen} positions a sequence; decoder: layers ${layers(encoder.layers, model.layers)}, ${model.seqLen} positions`,
    pipeline.stages.length === 1
      ? `The memory of a microbatch is ${source}`
      : `Of a microbatch a stage hands on ${source} of the encoder, behind its last layer the memory, and ${bytes(model.seqLen)} of the decoder; their gradients come back`,
  ];
}

/** The stages of a replica, where there are several. */
function pipelineLines({ kind, chunks, microbatches, bubble, stages }: Plan['pipeline']): readonly string[] {
  if (stages.length === 1) return [];
  const rows = stages.map(({ blocks, flops, inFlight }, stage) => [
    `${stage}`,
    ranges(blocks),
    `${formatCount(flops)}FLOP`,
    `${inFlight}`,
  ]);
  return [
    `Pipeline: ${kind}${chunks > 1 ? `, ${chunks} runs of layers a stage` : ''}, ${microbatches} microbatches: ${(100 * bubble).toFixed(1)} % of the stages' time is waiting`,
    table(['stage', 'layers', 'a step', 'in flight'], rows, 2),
    '',
  ];
}

/** Both tables: what the actors allocate, and what the papers would say of the same layout. */
function memoryLines({ memory, topology }: Plan, limit: number): readonly string[] {
  const cells = <Key extends string>(
    bytes: Readonly<Record<NoInfer<Key>, number>>,
    columns: Readonly<Record<Key, string>>,
  ) => (Object.keys(columns) as Key[]).map((key) => formatBytes(bytes[key]));
  const own = joined(memory.map((each) => [each.node, ...cells(each.own, ownColumns)]));
  const papers = joined(
    memory.map(({ node, papers: { mixed, f32 } }) => [
      node,
      ...cells(mixed, papersColumns),
      formatBytes(f32.device),
      formatBytes(f32.host),
    ]),
  );
  const more = (rows: readonly unknown[]): readonly string[] =>
    rows.length > limit ? [`  … and ${rows.length - limit} more`] : [];
  return [
    'Memory per device, as Troupe allocates it',
    table(['node', ...Object.values(ownColumns)], own.slice(0, limit), 1),
    ...more(own),
    `  * at even load, and with train.recompute layer; a device has room for ${topology.train.recompute === 'layer' ? 'the second' : 'the first'}`,
    '',
    'The same as the papers count it: 16-bit parameters and gradients with an f32 Adam, without activations',
    table(['node', ...Object.values(papersColumns), 'f32 device', 'f32 host'], papers.slice(0, limit), 1),
    ...more(papers),
  ];
}

/** Of what a launch refuses, lines that are shown. */
const MAX_UNBUILT = 10;

/** The time of a step, and what it is worth. */
function stepTimeLine({ basis, stepSeconds, tokensPerSecond }: StepTime): string {
  if (stepSeconds === null || tokensPerSecond === null)
    return 'Step time: unknown (no speed given); `plan --calibration FILE` predicts it';
  const [seconds, rate] = [`${stepSeconds.toPrecision(3)} s`, `${tokensPerSecond.toFixed(0)} tokens/s`];
  return basis === 'simulated'
    ? `Predicted step time: ${seconds}, ${rate} (simulated under the calibration)`
    : `Step time: at least ${seconds}, at most ${rate} (every device and link at full speed); \`plan --calibration FILE\` predicts it`;
}

/** What a launch refuses: the first few, since every device of a cluster may be among them. */
function unbuiltLines({ unbuilt }: Plan): readonly string[] {
  if (unbuilt.length === 0) return [];
  const shown = unbuilt.slice(0, MAX_UNBUILT).map((problem) => `  ${formatProblem(problem)}`);
  const rest = unbuilt.length - shown.length;
  return ['', 'Planned, but launch refuses it', ...shown, ...(rest > 0 ? [`  … and ${rest} more`] : [])];
}

/** Which ports, and of how many processes. */
function portsLine({ ports, portsAMachine }: Plan['connections']): readonly string[] {
  if (ports !== null) return [`  ports ${ports.first} to ${ports.last}, two a process`];
  return portsAMachine === null
    ? []
    : [`  any free ports: ${portsAMachine} a machine, two a process; wire.port says which`];
}

/** Who has how many connections: of several machines, and where there are too many. */
function connectionLines({ connections, nodes }: Plan, limits: ProcessLimits): readonly string[] {
  const problems = connectionProblems(connections, limits);
  const isOne =
    connections.portsAMachine === null && nodes.filter(({ node }) => node.startsWith('agent')).length === 1;
  if (isOne && problems.length === 0) return [];
  const rows = connections.processes.map(({ kind, count, peers, sockets, descriptors }) => [
    kind,
    `${count}`,
    `${peers}`,
    `${sockets}`,
    `${descriptors}`,
  ]);
  return [
    'Connections of a process, at most',
    table(['process', 'how many', 'peers', 'sockets', 'descriptors'], rows, 1),
    ...portsLine(connections),
    ...problems.map((problem) => `  warning: ${problem}`),
    '',
  ];
}

export interface FormatPlanOptions {
  /** Most rows of a table. Default: 64. */
  readonly limit?: number;
  /** What the machines allow a process. Default: unknown, but for the sockets that ZeroMQ has. */
  readonly limits?: ProcessLimits;
}

/** The plan for people. */
export function formatPlan(plan: Plan, options: FormatPlanOptions = {}): string {
  const { limit = 64, limits = { descriptors: null } } = options;
  const cut = <T>(rows: readonly T[]): readonly T[] => rows.slice(0, limit);
  const more = (rows: readonly unknown[]): readonly string[] =>
    rows.length > limit ? [`  … and ${rows.length - limit} more`] : [];
  const { parameters, topology } = plan;
  const { dp, ep, pp, tp, zero } = topology.parallel;
  const lines = [
    `${plan.name}: ${formatCount(parameters.total)} parameters (${formatCount(parameters.active)} active a token), pp ${pp} × dp ${dp} × tp ${tp}, ep ${ep}, zero ${zero}`,
    ...streamLines(plan),
    '',
    'Placement',
    table(
      ['node', 'host', 'device', 'actors'],
      cut(plan.nodes).map((node) => [
        node.node,
        node.host,
        describeDevice(node),
        foldAddresses(node.actors).join(' '),
      ]),
      4,
    ),
    ...more(plan.nodes),
    '',
    ...memoryLines(plan, limit),
    ...(plan.fits === null
      ? []
      : [plan.fits ? '  every device has room' : '  a device has not enough memory']),
    '',
    'Bytes a step, at even load',
    table(['a device sends', ...trafficHead], [['(mean)', ...trafficCells(plan.traffic.perDevice)]], 1),
    ...(plan.traffic.links === null || plan.traffic.links.length === 0
      ? []
      : [
          table(
            ['link', 'kind', ...trafficHead],
            cut(plan.traffic.links).map((link) => [
              `${link.from} → ${link.to}`,
              link.kind,
              ...trafficCells(link.bytes),
            ]),
            2,
          ),
          ...more(plan.traffic.links),
        ]),
    '',
    ...connectionLines(plan, limits),
    ...pipelineLines(plan.pipeline),
    `Work: ${formatCount(plan.flopsPerStep)}FLOP a step, ${plan.tokensPerStep} tokens a step, ${formatCount(plan.flopsPerToken)}FLOP a token`,
    stepTimeLine(plan.time),
  ];
  lines.push(...unbuiltLines(plan));
  return `${lines.join('\n')}\n`;
}

const show = (value: unknown): string =>
  value === undefined ? '(none)' : typeof value === 'string' ? value : JSON.stringify(value);

/** The difference of two plans for people. */
export function formatPlanDiff(diff: PlanDiff): string {
  if (diff.same) return 'no difference\n';
  const section = (
    title: string,
    entries: PlanDiff['keys'],
    showEach: (value: unknown) => string = show,
  ): readonly string[] =>
    entries.length === 0
      ? []
      : [
          title,
          ...entries.map(({ key, before, after }) => `  ${key}: ${showEach(before)} → ${showEach(after)}`),
        ];
  return `${[...section('Keys', diff.keys), ...section('Actors', diff.actors), ...section('Figures', diff.figures)].join('\n')}\n`;
}
