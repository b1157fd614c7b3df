import { defaultRouter, routerNames } from '@troupe/spec';
import { isLocalHost } from './layout/machine-row.ts';
import { nowhere, type TopologyProblem } from './problem.ts';
import type { ResolvedTopology } from './resolved.ts';

interface Unbuilt {
  readonly key: string;
  readonly value: unknown;
  readonly built: string | number;
  readonly why?: string;
}

/** Keys of which only some values run so far. */
function limited(
  topology: ResolvedTopology,
): readonly (Unbuilt & { readonly allowed: readonly unknown[] })[] {
  const { model, data } = topology;
  const { moe } = model;
  const only = (
    key: string,
    value: unknown,
    ...allowed: readonly [string | number, ...(string | number)[]]
  ) => ({
    key,
    value,
    allowed,
    built: allowed[0],
  });
  return [
    only('model.moe.router.kind', (moe?.router ?? defaultRouter).kind, ...routerNames('kind', 'built')),
    only(`data.${data.source.kind}`, data.source.kind, 'wordnet', 'text', 'jsonl', 'parallel', 'synthetic'),
  ];
}

/** Launchers that start a run today. */
const builtLaunchers: readonly [LauncherKind, ...LauncherKind[]] = [
  'local',
  'ssh',
  'slurm',
  'dial',
  'kubernetes',
];

type LauncherKind = NonNullable<ResolvedTopology['launcher']>['kind'];

/** Other machines are reached by a launcher that is built. */
function unbuiltHosts({ machines, joining, launcher }: ResolvedTopology): readonly Unbuilt[] {
  if (launcher !== null) {
    if (builtLaunchers.includes(launcher.kind)) return [];
    const why = `launcher ${launcher.kind} is not built yet; built: ${builtLaunchers.join(', ')}`;
    return [{ key: 'launcher.kind', value: launcher.kind, built: builtLaunchers[0], why }];
  }
  if (joining !== null) {
    const why =
      'machines that come together need a launcher, which says which they are; set launcher.kind, or list hosts';
    return [{ key: 'machines.count', value: machines.length, built: 'launcher.kind', why }];
  }
  return machines.flatMap(({ host }, index) =>
    isLocalHost(host)
      ? []
      : [
          {
            key: `machines.${index}.host`,
            value: host,
            built: 'localhost',
            why: `without a launcher a run stays on this machine, and ${host} is another one; set launcher.kind: ssh`,
          },
        ],
  );
}

function unbuiltDevices({ machines, joining }: ResolvedTopology): readonly Unbuilt[] {
  // Machines that are alike have their devices written down once.
  return machines.slice(0, joining === null ? machines.length : 1).flatMap(({ devices }, m) =>
    devices.flatMap((device, d) =>
      device.kind === 'cuda'
        ? [
            {
              key: joining === null ? `machines.${m}.devices.${d}` : `machines.devices.${d}`,
              value: device.id,
              built: `cpu:${device.index}`,
            },
          ]
        : [],
    ),
  );
}

/** Another machine is found only where a launcher starts agents: without one all machines are this one. */
function unbuiltPolicies({ recovery, launcher }: ResolvedTopology): readonly Unbuilt[] {
  const { machines } = recovery;
  const dials = launcher?.kind === 'dial' || launcher?.kind === 'kubernetes';
  if (machines === 'wait' || (launcher !== null && !dials)) return [];
  const why = dials
    ? 'machines that dial their lead keep the places that they were started with, so a lost one is waited for'
    : 'without a launcher all machines are this one, and none is lost alone; set launcher.kind';
  return [{ key: 'recovery.machines', value: machines, built: 'wait', why }];
}

/** There are no kernels for it, so a simulation would not know what a layer costs either. */
function unbuiltAttention({ model }: ResolvedTopology): readonly Unbuilt[] {
  if (model.mla === null) return [];
  const why = 'multi-head latent attention (MLA) is planned, and not built yet; leave model.mla out';
  return [{ key: 'model.mla', value: model.mla, built: 'null', why }];
}

/** The balance loss within a sequence needs the counts of that sequence in all layers at once, which no stage has. */
function unbuiltBalance({ model }: ResolvedTopology): readonly Unbuilt[] {
  const balance = model.moe?.balance;
  if (balance === undefined || balance.auxLoss === 0) return [];
  if (balance.scope === 'global' || balance.layers !== 'pooled') return [];
  const why = `layers are not pooled within a ${balance.scope} so far; use layers each, or scope global`;
  return [{ key: 'model.moe.balance.layers', value: 'pooled', built: 'each', why }];
}

/** TensorFlow.js has no products of bf16 pairs, and f32 ones would give other numbers under the same name. */
function unbuiltPrecision({ machines, train }: ResolvedTopology): readonly Unbuilt[] {
  if (train.precision !== 'bf16' || machines.every(({ body }) => body !== 'tfjs')) return [];
  const why = 'TensorFlow.js computes in f32 only; use f32, or device native';
  return [{ key: 'train.precision', value: 'bf16', built: 'f32', why }];
}

/** Keys for CURVE exist between machines only. */
function unbuiltSecurity({ wire, launcher }: ResolvedTopology): readonly Unbuilt[] {
  if (wire.security !== 'curve' || launcher !== null) return [];
  const why = 'processes of one machine talk over its own sockets, without CURVE so far; use auto or none';
  return [{ key: 'wire.security', value: 'curve', built: 'auto', why }];
}

/**
 * What a topology asks for that is designed, validated and planned, but not built: one problem (TROUPE_NOT_BUILT) per value.
 * Empty: it can be run. `plan` and `validate` take such topologies; `launch` and `simulate` must refuse them.
 *
 * @param use - a simulation has machines and devices of any kind; one of shapes only computes no sums
 */
export function refuseUnbuilt(
  topology: ResolvedTopology,
  use: 'launch' | 'simulate' | 'shapes' = 'launch',
): readonly TopologyProblem[] {
  const values = limited(topology).filter((each) => !each.allowed.includes(each.value));
  const found: readonly Unbuilt[] = [
    ...values.map((each) => ({ ...each, why: `is not built yet; built: ${each.allowed.join(', ')}` })),
    ...unbuiltAttention(topology),
    ...unbuiltBalance(topology),
    ...unbuiltPolicies(topology),
    ...(use === 'launch'
      ? [
          ...unbuiltPrecision(topology),
          ...unbuiltSecurity(topology),
          ...unbuiltHosts(topology),
          ...unbuiltDevices(topology),
        ]
      : []),
  ];
  return found.map(({ key, value, built, why }) => ({
    ...(topology.source.places[key] ?? nowhere),
    code: 'TROUPE_NOT_BUILT',
    key,
    value,
    rule: why ?? 'is not built yet',
    nearest: built,
  }));
}
