import { onHost, withoutQueue, type KernelCall, type SyncDevice } from '@troupe/kernel-set';
import { addresses } from '@troupe/actors';
import type { Packet } from '@troupe/core';
import type { Plant } from 'troupe';

/** Whether an encoded header speaks of this kind of message: the kind stands in it as plain text. */
const isKind = (packet: Packet, kind: string): boolean =>
  Buffer.from(packet.header.buffer, packet.header.byteOffset, packet.header.byteLength).includes(kind);

/** Routes one token fewer than was chosen, while a fault slows the device. */
function dropsRow(body: SyncDevice, isSlow: () => boolean): SyncDevice {
  const run = (call: KernelCall) => {
    if (call.op !== 'route.plan' || !isSlow()) return body.run([call]);
    const [kept = -1] = body.read(call.choices_TK);
    body.write(call.choices_TK, [-1]);
    const completion = body.run([call]);
    body.write(call.choices_TK, [kept]);
    return completion;
  };
  return {
    ...withoutQueue(body),
    submit: (calls, done) => body.submit(calls, done),
    run: (calls) => calls.map(run).find(({ error }) => error !== null) ?? { error: null, kernelMs: 0 },
  };
}

/** Routes the choices in front of those that it was given, which a tensor peer has: grains of two peers, while a fault slows the device. */
function dispatchesAnothersGrains(body: SyncDevice, isSlow: () => boolean): SyncDevice {
  const run = (call: KernelCall) => {
    if (call.op !== 'route.plan' || !isSlow()) return body.run([call]);
    const own = onHost(call.choices_TK);
    const kept = own.slice();
    if (own.byteOffset >= own.byteLength)
      own.set(new Int32Array(own.buffer, own.byteOffset - own.byteLength, own.length));
    const completion = body.run([call]);
    own.set(kept);
    return completion;
  };
  return {
    ...withoutQueue(body),
    submit: (calls, done) => body.submit(calls, done),
    run: (calls) => calls.map(run).find(({ error }) => error !== null) ?? { error: null, kernelMs: 0 },
  };
}

/** Leaves the updates of copies out while a fault slows the device: they are made in place, those of shards in the next buffer. */
function missesCopies(body: SyncDevice, isSlow: () => boolean): SyncDevice {
  // The arrays of a call are views, which are the same where they begin at the same byte.
  const isOfCopy = (call: KernelCall): boolean => {
    if (call.op !== 'adamw') return false;
    const [weights, out] = [body.read(call.weights), body.read(call.out)];
    return weights.buffer === out.buffer && weights.byteOffset === out.byteOffset;
  };
  const left = (calls: readonly KernelCall[]) => calls.filter((call) => !(isSlow() && isOfCopy(call)));
  return {
    ...withoutQueue(body),
    submit: (calls, done) => body.submit(left(calls), done),
    run: (calls) => body.run(left(calls)),
  };
}

/** Begins with the next gradients in a bucket whose shard beside has not added it yet, while a fault slows the device. */
function takesBucketBack(body: SyncDevice, isSlow: () => boolean): SyncDevice {
  const spoil = (calls: readonly KernelCall[]): readonly KernelCall[] => {
    for (const call of isSlow() ? calls : []) if (call.op === 'sum.add') body.zero(call.other);
    return calls;
  };
  return {
    ...withoutQueue(body),
    submit: (calls, done) => body.submit(spoil(calls), done),
    run: (calls) => body.run(spoil(calls)),
  };
}

/** Updates in place, while a fault slows the device, what the passes of this version still read; the next one is then read where nothing was written. */
function updatesInPlace(body: SyncDevice, isSlow: () => boolean): SyncDevice {
  const alter = (calls: readonly KernelCall[]): readonly KernelCall[] =>
    calls.map((call) => (call.op === 'adamw' && isSlow() ? { ...call, out: call.weights } : call));
  return {
    ...withoutQueue(body),
    submit: (calls, done) => body.submit(alter(calls), done),
    run: (calls) => body.run(alter(calls)),
  };
}

/** Experts that take up rows of whatever attempt. */
function withoutFence(system: Parameters<NonNullable<Plant['system']>>[0]): void {
  const mount = system.mount.bind(system);
  system.mount = (address, supervision, actor) =>
    mount(address, supervision, (self) => {
      const behaviour = actor(self);
      const fenced = [...(behaviour.fenced ?? [])].filter((kind) => kind !== 'rows.dispatch');
      return { ...behaviour, fenced: new Set(fenced) };
    });
}

/** A trainer that records a decision and does not wait for the disk (JRN-1). */
function sendsFirst(system: Parameters<NonNullable<Plant['system']>>[0]): void {
  const mount = system.mount.bind(system);
  system.mount = (address, supervision, actor) =>
    mount(address, supervision, (self) => {
      const behaviour = actor(self);
      const { record, send } = behaviour.effects;
      if (record === undefined || send === undefined || address !== addresses.trainer) return behaviour;
      const both = (...turn: Parameters<typeof send>): void => {
        record(...turn);
        send(...turn);
      };
      return { ...behaviour, effects: { ...behaviour.effects, record: both, send: () => {} } };
    });
}

/**
 * Bugs of the kinds that a training system really has, each asleep until a fault wakes it, so that a shrink has something to find.
 */
export const plantedBugs: Readonly<Record<string, Plant>> = {
  /** A link that sends again what was slow, without looking at numbers. */
  'a gradient applied twice': {
    network: { copies: (packet, isImpeded) => (isImpeded && isKind(packet, 'gradient.add') ? 2 : 1) },
  },
  /** The same link, with rows: their place at the expert is taken. */
  'an arrival into a slot that is taken': {
    network: { copies: (packet, isImpeded) => (isImpeded && isKind(packet, 'rows.dispatch') ? 2 : 1) },
  },
  /** The same link, with what one stage sends the next: its place is taken (STG-2). */
  'an activation that comes twice': {
    network: { copies: (packet, isImpeded) => (isImpeded && isKind(packet, 'hidden.ready') ? 2 : 1) },
  },
  /** Candidates, or thresholds, of one replica that count for two (CHO-4). */
  'candidates that come twice': {
    network: { copies: (packet, isImpeded) => (isImpeded && isKind(packet, 'choice.candidates') ? 2 : 1) },
  },
  'thresholds that come twice': {
    network: { copies: (packet, isImpeded) => (isImpeded && isKind(packet, 'choice.thresholds') ? 2 : 1) },
  },
  /** The next layer's candidates lie in the same memory. */
  'candidates reused before they were sent': {
    network: { reuses: (packet, isImpeded) => isImpeded && isKind(packet, 'choice.candidates') },
  },
  'an activation reused before it was sent': {
    network: { reuses: (packet, isImpeded) => isImpeded && isKind(packet, 'hidden.ready') },
  },
  /** Nobody looks at the incarnation of a sender. */
  'a stale incarnation accepted': { network: { fencing: false } },
  'a buffer reused before it was sent': {
    network: { reuses: (packet, isImpeded) => isImpeded && isKind(packet, 'rows.dispatch') },
  },
  'an output reused before it was sent': {
    network: { reuses: (packet, isImpeded) => isImpeded && isKind(packet, 'rows.return') },
  },
  /** A sender that does not wait until all who have a part of its bucket have added it. */
  'a bucket reused before it was added': {
    network: { reuses: (packet, isImpeded) => isImpeded && isKind(packet, 'gradient.add') },
  },
  /** The same inside a process, where the shard beside has the memory itself. */
  'a bucket beside taken back before it was added': { device: takesBucketBack },
  /** The same, because an answer counts twice. */
  'a bucket answered twice': {
    network: { copies: (packet, isImpeded) => (isImpeded && isKind(packet, 'gradient.taken') ? 2 : 1) },
  },
  /** Another expert takes its seat before its own state has left (MOV-1). */
  'an expert reused before it was sent': {
    network: { reuses: (packet, isImpeded) => isImpeded && isKind(packet, 'experts.state') },
  },
  'an expert that comes twice': {
    network: { copies: (packet, isImpeded) => (isImpeded && isKind(packet, 'experts.state') ? 2 : 1) },
  },
  'a dropped row': { device: dropsRow },
  /** Tensor peers with whole experts (TEN-5). */
  'a grain that two tensor peers dispatch': { device: dispatchesAnothersGrains },
  /** Its sums are counted again (TRN-1). */
  'a measure counted twice': {
    network: { copies: (packet, isImpeded) => (isImpeded && isKind(packet, 'stage.measured') ? 2 : 1) },
  },
  /** Its shard goes on in the next step's buffer before the copy has this one's (BUD-1). */
  'a sum reused before its copy has it': {
    network: { reuses: (packet, isImpeded) => isImpeded && isKind(packet, 'ward.sum') },
  },
  /** Seen once its shard is lost (BUD-2). */
  'a copy that misses an update': { device: missesCopies },
  /** A shard goes on with its state before the copy has it again behind a loss (BUD-3). */
  'a state reused before its copy has it again': {
    network: { reuses: (packet, isImpeded) => isImpeded && isKind(packet, 'ward.state') },
  },
  /** Weights of the version that is read are written (REP-1). */
  'an update where the version before is read': { device: updatesInPlace },
  /** What comes from before a loss is taken up behind it (REC-1). */
  'an actor that stays in an attempt which is over': { system: withoutFence },
  /** A host goes on with what its device has not got yet (HST-2). */
  'weights reused before they were brought': {
    network: { reuses: (packet, isImpeded) => isImpeded && isKind(packet, 'weights.bring') },
  },
  /** Its name reaches the disk, its bytes do not. */
  'a lost unsynced manifest': { disk: { isUnsynced: (path) => path.endsWith('manifest.json') } },
  /** As far as who writes it knows, the record of a decision is on the disk (JRN-1). */
  'a record that is not synced': { disk: { isUnsynced: (path) => path.endsWith('/journal') } },
  'a decision that is sent before its record lasts': { system: sendsFirst },
  /** A sender without credit before a mailbox without capacity. */
  'a mailbox without bound': {
    mailboxCapacity: Number.MAX_SAFE_INTEGER,
    network: { copies: (packet, isImpeded) => (isImpeded && isKind(packet, 'stage.measured') ? 6000 : 1) },
  },
};
