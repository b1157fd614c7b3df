import { assert, type Address } from '@troupe/core';
import type { Device, KernelCall, Precision } from '@troupe/kernel-set';
import { FlatWeights } from '@troupe/model';
import type { FieldsArgument, Shapes } from '@troupe/runtime';
import { expertUnit, flatLayout, type ModelConfig, type Parameter } from '@troupe/spec';
import { addresses, expertGroupId } from '@troupe/topology/layout';
import type { ExpertRule } from '../expert/rule.ts';
import type { ExpertBuffers, ExpertHost } from '../expert/host.ts';
import type { Computing } from '../worker.ts';

/** Which experts of a model. */
export interface ServedGroup {
  readonly model: ModelConfig;
  /** A layer that has experts, from 0. */
  readonly layer: number;
  /** The first of them and how many. */
  readonly first: number;
  readonly count: number;
  readonly precision?: Precision;
  readonly expert?: ExpertRule;
}

/** What an expert actor stands on when there is nothing but it: its device and the weights of its experts. */
export class ServedExperts implements ExpertHost {
  /** The only one of a service. */
  readonly expertGroup = expertGroupId(0);
  readonly numChunks = 1;
  readonly defersMatrices = false;
  readonly device: Device;
  readonly layer: number;
  readonly job: ExpertHost['job'];
  readonly count: number;
  /** Filled by whoever mounts it; the names are those of the model. */
  readonly weights: FlatWeights;

  constructor(device: Device, { model, layer, first, count, precision, expert }: ServedGroup) {
    const units = Array.from({ length: count }, (_, index) => expertUnit(model, layer, first + index));
    const layout = flatLayout(units);
    this.device = device;
    this.layer = layer;
    this.job = {
      model,
      first: { step: 0, adamClock: 0 },
      ...(precision === undefined ? {} : { precision }),
      ...(expert === undefined ? {} : { expert }),
    };
    this.count = count;
    this.weights = new FlatWeights(layout, device.floats(layout.length));
  }

  /** Every tensor that it needs. */
  get parameters(): readonly Parameter[] {
    return this.weights.layout.units.flatMap((unit) => unit.parameters);
  }

  expertBuffers(): ExpertBuffers {
    const { data } = this.weights;
    return {
      count: this.count,
      from: 0,
      to: data.length,
      segments: [
        {
          segment: { count: 1, index: 0 },
          weights: () => data,
          gradient: () => assert(false, 'a service has no backward pass') as never,
        },
      ],
    };
  }

  /** Where its gate would be, others' questions come from. */
  gatesFor(layer: number): readonly Address[] {
    return [addresses.gate(layer, { pp: 0, dp: 0 })];
  }

  /** Answers are read here, so they must be there. */
  chain<Own extends Shapes, K extends keyof Own & string>(
    self: Computing<Own>,
    calls: readonly KernelCall[],
    done: K,
    ...fields: FieldsArgument<Own[K]>
  ): void {
    self.submit(this.device, calls, done, ...fields);
  }

  /** There are no attempts. */
  abandon(): void {}

  fence(): Record<string, never> {
    return {};
  }
}
