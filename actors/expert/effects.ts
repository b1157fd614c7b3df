import { assert } from '@troupe/core';
import type { Floats, Halves, KernelCall } from '@troupe/kernel-set';
import { expertsBackward, expertsForward, expertShape, savedLength } from '@troupe/model';
import type { ExpertSelf } from './events.ts';
import { ExpertPass, type ExpertPassId, type ForwardArrival } from './expert-pass.ts';
import { GrowingStorage } from './growing-storage.ts';
import type { ExpertHost } from './host.ts';
import type { ExpertContext, ExpertEffects } from './machine.ts';
import { callsOf, type ExpertRule, type OwnBackwardCall, type OwnForwardCall } from './rule.ts';

/** Where the gradients of a group lie in the flat buffer, and which step they are of. */
export interface ExpertGradients {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly attempt: number;
}

/** The grouped FFN of one layer's experts here, over the rows of all sources. */
export function expertEffects(
  self: ExpertSelf,
  host: ExpertHost,
  layer: number,
  /** The gradients of a step are complete: hands them to the shards that own their parameters. */
  passGradients: (range: ExpertGradients) => void,
): ExpertEffects {
  const { device, job, expertGroup: rank, numGrains } = host;
  const sources = host.gatesFor(layer).map((gate) => ({ gate, isBeside: self.isBeside(gate) }));
  const buffers = host.expertBuffers(layer);
  const group = expertShape(job.model, layer, buffers.count, job.precision ?? 'f32');
  const storage = storageOf(host, layer);
  let open: ExpertPass | null = null;

  const sourceOf = (source: number): (typeof sources)[number] => {
    const found = sources[source];
    assert(found, 'a source is one of the group', { source, layer });
    return found;
  };
  /** The pass that an arrival or a completion belongs to. */
  const passOf = (id: ExpertPassId): ExpertPass => {
    assert(open?.is(id) === true, 'one pass is open, and what comes is for it', {
      layer,
      step: id.step,
      attempt: id.attempt,
      microbatch: id.microbatch,
    });
    return open;
  };
  const place = ({ step, attempt, wanted, microbatch }: ExpertContext) => ({
    step,
    attempt,
    version: wanted,
    layer,
    microbatch,
  });
  const rowsOf = ({ x_UD, slots_N, counts_EG }: ForwardArrival) => ({ x_UD, slots_N, counts_EG, numGrains });
  const run = (
    calls: readonly KernelCall[],
    own: (expert: ExpertRule, call: KernelCall) => readonly KernelCall[],
    done: 'experts.forwarded' | 'experts.backwarded',
    context: ExpertContext,
  ): void => {
    const { expert } = job;
    const all = expert === undefined ? calls : calls.flatMap((call) => own(expert, call));
    host.chain(self, all, done, place(context));
  };
  /** Ends a pass: what other nodes sent for it is read no more. */
  const close = (pass: ExpertPass): void => {
    sources.forEach(({ isBeside }, source) => {
      if (!isBeside)
        self.free(
          pass.mode === 'evaluate'
            ? [pass.forward.at(source).x_UD]
            : [pass.forward.at(source).x_UD, pass.backward.at(source).dOut_UD],
        );
    });
    open = null;
  };

  return {
    acceptRows: (event) => {
      const { source, mode } = event.body;
      const { x_UD, slots_N, counts_EG, y_ND } = event.tensors;
      open ??= new ExpertPass(event, mode, sources.length);
      const room = sourceOf(source).isBeside ? y_ND : storage.outputs(source, slots_N.length * group.dim);
      assert(room, 'a source beside says where its outputs go', { source });
      const rows = {
        x_UD: device.upload(x_UD),
        slots_N: device.upload(slots_N),
        counts_EG: device.upload(counts_EG),
        y_ND: room,
      };
      passOf(event).forward.put(source, rows, event);
    },
    forward: (_event, context) => {
      const pass = passOf(context);
      const arrivals = pass.forward.all();
      const rows = arrivals.reduce((sum, { slots_N }) => sum + slots_N.length, 0);
      pass.saved = pass.mode === 'evaluate' ? null : storage.saved(savedLength(group, rows));
      const made = arrivals.map((arrival) => ({ ...rowsOf(arrival), y_ND: arrival.y_ND }));
      const calls = expertsForward(group, buffers.weights(context.wanted), made, pass.saved);
      const own = (expert: ExpertRule, call: KernelCall) =>
        callsOf(expert, { forward: call as OwnForwardCall });
      run(calls, own, 'experts.forwarded', context);
    },
    returnRows: (_event, context) => {
      const pass = passOf(context);
      sources.forEach(({ gate, isBeside }, source) => {
        const tensors = isBeside ? {} : { y_ND: device.read(pass.forward.at(source).y_ND) };
        self.tell(gate, 'rows.return', { ...place(context), tensors, body: { rank } });
      });
      // An evaluation has no backward pass: nothing of it is kept.
      if (pass.mode === 'evaluate') close(pass);
    },
    acceptGradients: (event) => {
      const { source, last } = event.body;
      const { dOut_UD, rowWeights_N, dx_ND } = event.tensors;
      const pass = passOf(event);
      pass.isLast = last;
      const length = pass.forward.at(source).slots_N.length * group.dim;
      const room = sourceOf(source).isBeside ? dx_ND : storage.inputGradients(source, length);
      assert(room, 'a source beside says where its gradients go', { source });
      const gradients = {
        dOut_UD: device.upload(dOut_UD),
        rowWeights_N: device.upload(rowWeights_N),
        dx_ND: room,
      };
      pass.backward.put(source, gradients, event);
    },
    backward: (_event, context) => {
      const pass = passOf(context);
      assert(pass.saved, 'a backward pass follows its forward pass', { layer });
      const made = pass.backward
        .all()
        .map((arrival, source) => ({ ...rowsOf(pass.forward.at(source)), ...arrival }));
      const weights = buffers.weights(context.wanted);
      const target = buffers.gradient(context.microbatch);
      const calls = expertsBackward(group, weights, target, made, pass.saved);
      const own = (expert: ExpertRule, call: KernelCall) =>
        callsOf(expert, { backward: call as OwnBackwardCall });
      run(calls, own, 'experts.backwarded', context);
    },
    returnGradients: (_event, context) => {
      const pass = passOf(context);
      sources.forEach(({ gate, isBeside }, source) => {
        const tensors = isBeside ? {} : { dx_ND: device.read(pass.backward.at(source).dx_ND) };
        self.tell(gate, 'gradients.return', { ...place(context), tensors, body: { rank } });
      });
      close(pass);
      const { from, to } = buffers;
      if (pass.isLast) passGradients({ from, to, step: context.step, attempt: context.attempt });
    },
    // The collector frees what arrived: the device may still read it.
    abandon: ({ attempt }) => {
      host.enter(attempt);
      open = null;
    },
  };
}

/** Room for what does not lie in a gate's own buffers, kept from step to step. */
function storageOf(host: ExpertHost, layer: number) {
  const { device, job } = host;
  const floats = (length: number): Floats => device.floats(length);
  const gates = host.gatesFor(layer);
  const outputs = gates.map(() => new GrowingStorage(floats));
  const inputGradients = gates.map(() => new GrowingStorage(floats));
  const savedRows = new GrowingStorage<Floats | Halves>(
    job.precision === 'bf16' ? (length) => device.halves(length) : floats,
  );
  const at = (rooms: readonly GrowingStorage<Floats>[], source: number, length: number): Floats => {
    const room = rooms[source];
    assert(room, 'every source has room', { source });
    return room.take(length);
  };
  return {
    outputs: (source: number, length: number): Floats => at(outputs, source, length),
    inputGradients: (source: number, length: number): Floats => at(inputGradients, source, length),
    saved: (length: number): Floats | Halves => savedRows.take(length),
  };
}
