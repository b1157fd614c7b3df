import {
  address,
  nodeId,
  silentLogger,
  type Address,
  type LogFields,
  type Logger,
  type NodeId,
  type TroupeError,
} from '@troupe/core';
import {
  ActorSystem,
  Directory,
  field,
  message,
  tensor,
  type Behaviour,
  type ActorEvent,
  type Self,
  type Supervision,
  type Turn,
  type Wait,
} from '@troupe/runtime';
import { VirtualClock } from '@troupe/sim';
import { createMemoryNetwork, type MemoryNetworkOptions, type MemoryTransport } from '@troupe/transport';
import { createCodec } from '@troupe/wire';

/** What tests of the runtime say: one kind has named tensors, the rest are bare. */
const messages = {
  'ping.sent': message({
    from: ['any'],
    to: ['any'],
    says: 'A test.',
    body: { x: field.optional(field.any) },
    tensors: { weights: tensor.optional(tensor.floats), counts: tensor.optional(tensor.ints) },
  }),
  'work.fail': message({
    from: ['any'],
    to: ['any'],
    says: 'A test.',
    tensors: { frame: tensor.optional(tensor.bytes) },
  }),
  'frames.send': message({
    from: ['any'],
    to: ['any'],
    says: 'A test.',
    tensors: { frame: tensor.optional(tensor.bytes) },
  }),
} as const;

/** Effects by name, as loosely as tests write them. */
export type TestEffects = Readonly<Record<string, (event: ActorEvent, context: never) => void>>;

export const near = nodeId('agent/0');
export const far = nodeId('worker/0');
const never: Supervision = { strategy: 'escalate', intensity: 0, periodMs: 1 };

export interface Failure {
  readonly error: TroupeError;
  readonly address: Address;
}

export interface House {
  readonly clock: VirtualClock;
  readonly near: ActorSystem;
  readonly far: ActorSystem;
  readonly transports: ReadonlyMap<NodeId, MemoryTransport>;
  readonly turns: readonly Turn[];
  readonly failures: readonly Failure[];
  readonly stuck: readonly { readonly sentence: string; readonly wait: Wait }[];
  readonly warnings: readonly { readonly message: string; readonly fields: LogFields }[];
  /** Runs everything that is due up to `untilMs`, or all of it. */
  run(untilMs?: number): void;
}

/** Two nodes over a memory network in virtual time; addresses that begin with `far/` live on the second. */
export function house(kinds: readonly string[], network: MemoryNetworkOptions = {}): House {
  const clock = new VirtualClock();
  const memory = createMemoryNetwork({ clock, schedule: (run) => void clock.after(0, run), ...network });
  const directory = new Directory((name) => (name.startsWith('far/') ? far : near));
  const turns: Turn[] = [];
  const failures: Failure[] = [];
  const stuck: { sentence: string; wait: Wait }[] = [];
  const warnings: { message: string; fields: LogFields }[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (message, fields = {}) => void warnings.push({ message, fields }),
    child: () => logger,
  };
  const transports = new Map<NodeId, MemoryTransport>();
  const system = (node: NodeId): ActorSystem => {
    const transport = memory.connect(node, 1);
    transports.set(node, transport);
    return new ActorSystem({
      node,
      transport,
      messages,
      codec: createCodec({
        kinds: new Set([...kinds, 'message.refused', 'system.describe', 'system.described']),
      }),
      clock,
      logger,
      directory,
      schedule: (run) => void clock.after(0, run),
      onFailure: (error, failed) => void failures.push({ error, address: failed }),
      onStuck: (error, wait) => void stuck.push({ sentence: error.message, wait }),
      observe: (turn) => void turns.push(turn),
    });
  };
  const [nearSystem, farSystem] = [system(near), system(far)];
  nearSystem.listen();
  farSystem.listen();
  return {
    clock,
    near: nearSystem,
    far: farSystem,
    transports,
    turns,
    failures,
    stuck,
    warnings,
    run: (untilMs = Number.POSITIVE_INFINITY) => {
      const until = { isOver: false };
      const guard = Number.isFinite(untilMs)
        ? clock.after(untilMs - clock.now(), () => (until.isOver = true))
        : null;
      while (!until.isOver && clock.runNext());
      if (guard !== null) clock.cancel(guard);
    },
  };
}

/** Mounts an actor whose effects get `self` and which may note what happened. */
export function mount(
  system: ActorSystem,
  name: string,
  parts: {
    readonly machine: Behaviour['machine'];
    readonly effects?: (self: Self) => TestEffects;
    readonly input?: unknown;
    readonly supervision?: Supervision;
    readonly dispose?: () => void;
    readonly fence?: Pick<Behaviour, 'epoch' | 'fenced'>;
  },
): Address {
  const named = address(name);
  system.mount(named, parts.supervision ?? never, (self) => ({
    machine: parts.machine,
    input: parts.input,
    effects: parts.effects?.(self) ?? {},
    ...(parts.dispose === undefined ? {} : { dispose: parts.dispose }),
    ...parts.fence,
  }));
  return named;
}
