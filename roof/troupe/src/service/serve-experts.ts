import { mountExpertService, parametersOf, ServedExperts, type ExpertRule } from '@troupe/actors';
import { nodeId, OptionError, silentLogger, type Logger, type TroupeError } from '@troupe/core';
import type { Device, Precision } from '@troupe/kernel-set';
import { loadDevice } from '@troupe/kernels';
import type { ActorStatus } from '@troupe/runtime';
import { moeLayers, type ModelConfig } from '@troupe/spec';
import type { CurveKeys, Listen } from '@troupe/transport';
import {
  callback,
  checkOptions,
  objectWith,
  oneOf,
  options as optionsOf,
  required,
  wholeNumber,
  type OptionRules,
} from '../option-rules.ts';
import { systemClock } from '../ports/clock.ts';
import { anywhere, openServiceSystem, type ServiceEndpoints } from './service-system.ts';

/** What of a model is served, on what, and where. */
export interface ServeExpertsOptions {
  /** `topology.model`, or the `config` of a Hugging Face folder. */
  readonly model: ModelConfig;
  /** A layer that has experts, from 0. */
  readonly layer: number;
  /** Default: all experts of the layer. */
  readonly experts?: { readonly first: number; readonly count: number };
  /** A parameter by its name in the model: `(name) => checkpoint.read(name, 'weights')`. */
  readonly weights: (name: string) => ArrayLike<number> | PromiseLike<ArrayLike<number>>;
  /** Default: the fastest body here, closed with the service. One that is given stays the program's. */
  readonly device?: Device;
  /** Format of the products' operands. Default f32. */
  readonly precision?: Precision;
  /** An own expert in place of the model's. */
  readonly expert?: ExpertRule;
  /** Default: ports on loopback that the system chooses. */
  readonly listen?: Listen;
  /** Needed beyond loopback. */
  readonly curve?: CurveKeys;
  /** Questions that may wait; one more is refused (TROUPE_SERVICE_BUSY). Default 64. */
  readonly capacity?: number;
  readonly logger?: Logger;
}

/** A group of experts that answers other programs until it is closed. */
export interface ExpertService {
  /** What {@link connectExperts} takes. */
  readonly endpoints: ServiceEndpoints;
  /** Ends with the service, with what broke it, or null when it was closed. */
  readonly ended: Promise<TroupeError | null>;
  /** The two actors of the service and what they do now. */
  actors(): readonly ActorStatus[];
  /** Lets answers that are made leave, and ends. */
  close(): Promise<void>;
}

const rules: OptionRules<ServeExpertsOptions> = {
  model: required(objectWith('the model of a topology')),
  layer: required(wholeNumber(0, 'a layer')),
  experts: optionsOf({
    first: required(wholeNumber(0, 'an expert')),
    count: required(wholeNumber(1, 'experts')),
  }),
  weights: required(callback),
  device: objectWith('a device, such as loadDevice gives', 'submit', 'floats', 'close'),
  precision: oneOf('f32', 'bf16'),
  expert: objectWith('an expert', 'forward', 'backward'),
  listen: objectWith('where to listen'),
  curve: objectWith('CURVE keys'),
  capacity: wholeNumber(1, 'questions'),
  logger: objectWith('a logger', 'debug', 'info', 'warn', 'error', 'child'),
};

const GOODBYE_MS = 1000;
const service = nodeId('service/0');

/** The group, once it is known to lie in the model. */
function groupOf({ model, layer, experts, precision, expert }: ServeExpertsOptions) {
  const layers = moeLayers(model);
  const numExperts = model.moe?.experts ?? 0;
  const { first, count } = experts ?? { first: 0, count: numExperts };
  const problems = [
    ...(layers.includes(layer)
      ? []
      : [`layer is ${layer}, layers with experts are ${layers.join(', ') || 'none'}`]),
    ...(first + count <= numExperts ? [] : [`experts ${first} to ${first + count - 1} of ${numExperts}`]),
  ];
  if (problems.length > 0 || model.moe === null) throw new OptionError('serveExperts', problems);
  const own =
    expert === undefined ? null : parametersOf(expert, { dim: model.dModel, hidden: model.moe.dExpert });
  return {
    model: own === null ? model : { ...model, moe: { ...model.moe, expertParameters: own } },
    layer,
    first,
    count,
    ...(precision === undefined ? {} : { precision }),
    ...(expert === undefined ? {} : { expert }),
  };
}

async function fill(host: ServedExperts, weights: ServeExpertsOptions['weights']): Promise<void> {
  for (const { name, size } of host.parameters) {
    const values = await weights(name);
    if (values?.length !== size)
      throw new OptionError('serveExperts', [
        `weights gave ${values?.length ?? 'no'} elements of ${name}, expected ${size}`,
      ]);
    host.device.write(host.weights.parameter(name), values);
  }
}

/**
 * Mounts one expert actor, and nothing else of a run, as a service over ZeroMQ that other processes ask.
 *
 * It is the actor of a run, over the same kernels: the outputs are those of training, bit for bit. Questions are computed one after the
 * other, so what one gets does not depend on who else asks.
 *
 * @throws {OptionError} TROUPE_OPTION with everything that is wrong
 * @throws {TroupeError} what is wrong with the device, the weights or the place to listen
 */
export async function serveExperts(options: ServeExpertsOptions): Promise<ExpertService> {
  checkOptions('serveExperts', options, rules);
  const group = groupOf(options);
  const device = options.device ?? (await loadDevice());
  const closeDevice = async (): Promise<void> => (options.device === undefined ? device.close() : undefined);
  let end: (error: TroupeError | null) => void = () => {};
  const over = new Promise<TroupeError | null>((resolve) => (end = resolve));
  try {
    const host = new ServedExperts(device, group);
    await fill(host, options.weights);
    const { system, transport } = await openServiceSystem({
      node: service,
      service,
      clock: systemClock(),
      logger: options.logger ?? silentLogger,
      transport: {
        listen: options.listen ?? anywhere,
        ...(options.curve === undefined ? {} : { curve: options.curve }),
      },
      failed: end,
    });
    const address = mountExpertService(system, host, { capacity: options.capacity ?? 64 });
    const ended = over.then(async (error) => {
      system.stop();
      await transport.close(GOODBYE_MS);
      await closeDevice();
      return error;
    });
    system.listen();
    const { endpoints } = transport;
    const { dModel: dim } = group.model;
    return {
      endpoints: { node: service, address, ...endpoints, dim, experts: group.count },
      ended,
      actors: () => system.statuses(),
      close: async () => {
        end(null);
        await ended;
      },
    };
  } catch (error) {
    await closeDevice();
    throw error;
  }
}
