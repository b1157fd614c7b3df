import { assert, type HostFloats } from '@troupe/core';
import type { Floats } from '@troupe/kernel-set';
import { eachStream, streamCoefficients, type Streams } from '@troupe/model';
import { moeLayers } from '@troupe/spec';
import { globalStreams } from '../token-tensors.ts';
import { inputOf, nextOf, runningOf } from './cursor.ts';
import type { StageSelf } from './events.ts';
import type { StageContextData, StageEffects } from './machine.ts';
import { placeOf, type StageState } from './state.ts';

type OperatingEffects = Pick<
  StageEffects,
  | 'beginOperation'
  | 'endForward'
  | 'endBackward'
  | 'endMatrices'
  | 'shareBalance'
  | 'acceptBalance'
  | 'measure'
>;

/** Passes begin and end in the order of the program. */
export function operatingEffects(self: StageSelf, state: StageState): OperatingEffects {
  const { worker, passes, parameters, inputs, agent } = state;
  const { job, device } = worker;
  const { model, layout } = job;
  /** What another stage has sent of each stream. */
  const write = (to: Streams<Floats>, from: Streams<HostFloats>): void => {
    device.write(to.decoder, from.decoder);
    assert((to.encoder === null) === (from.encoder === null), 'a stage gets every stream of the model');
    if (to.encoder !== null && from.encoder !== null) device.write(to.encoder, from.encoder);
  };
  const close = (context: StageContextData, pass: { chunk: number; microbatch: number }): void => {
    assert(runningOf(context, pass) !== null, 'a pass that answers is running', pass);
    passes.close(placeOf(context, pass), state.slotOf(context, pass).index);
  };
  return {
    beginOperation: (_event, context) => {
      const operation = nextOf(context);
      assert(operation, 'an operation is left', { next: context.next });
      const { direction, microbatch } = operation;
      const [place, slot] = [placeOf(context, operation), state.slotOf(context, operation)];
      const key = inputOf(context, operation);
      const input = key === null ? undefined : inputs.get(key);
      if (key !== null) inputs.delete(key);
      const to = state.passAddress(slot);
      if (direction === 'forward') {
        const { batch, sizes } = state.dealt(context, operation);
        const { act } = passes.open(place, slot, batch, sizes);
        if (input !== undefined) write(act.inputs, input);
        self.tell(to, 'pass.forward', place);
      } else {
        const { act } = passes.at(place, slot.index);
        if (input !== undefined) write(act.outputGradients, input);
        const last = microbatch === layout.dealing.microbatches - 1;
        const kind = direction === 'backward' ? 'pass.backward' : 'matrices.run';
        self.tell(to, kind, { ...place, body: { last } });
      }
      if (input !== undefined) self.free(eachStream(input));
    },
    endForward: ({ microbatch, body: { chunk } }, context) => {
      if (context.mode === 'evaluate') close(context, { chunk, microbatch });
    },
    endBackward: ({ microbatch, body: { chunk } }, context) => {
      if (!layout.hasMatrixOperations) close(context, { chunk, microbatch });
    },
    endMatrices: ({ microbatch, body: { chunk } }, context) => close(context, { chunk, microbatch }),
    shareBalance: (_event, { step, attempt }) => {
      const counts_LE = passes.statistics('train').counts();
      self.tell(agent, 'balance.share', { step, attempt, tensors: { counts_LE } });
      self.wait({
        name: 'balance',
        awaited: [agent],
        reason: 'the balance of the whole batch',
        step,
        deadlineMs: job.deadlines.stepMs,
      });
    },
    acceptBalance: ({ tensors: { counts_LE } }) => {
      self.endWait('balance');
      const experts = model.moe?.experts ?? 0;
      const layers = moeLayers(model).map((layer, index) => ({
        layer,
        counts_E: counts_LE.slice(index * experts, (index + 1) * experts),
      }));
      const global = globalStreams(layout.dealing.batch, state.openStep.counted);
      passes.balance(streamCoefficients(model, global, layers));
    },
    measure: (_event, { step, attempt, wanted }) => {
      const { lossSum, lossSums, counts_LE, dropped_L, probSums_LE } = passes.statistics('train').totals();
      const tensors = { lossSum, layerSums: lossSums, counts_LE, dropped_L, probSums: probSums_LE };
      // The optimizer's kernels of this step run after this and count for the next one.
      const body = { kernelMs: worker.meter.take(), alike: parameters.digest() };
      self.tell(agent, 'stage.measured', { step, attempt, version: wanted, tensors, body });
    },
  };
}
