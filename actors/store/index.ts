import { assert, deserializeError, type Floats, type Storage } from '@troupe/core';
import {
  beginCheckpoint,
  CheckpointDamagedError,
  checkpointFolders,
  openCheckpoint,
  pruneCheckpoints,
  type CheckpointReader,
  type CheckpointTensor,
  type CheckpointWriter,
  type Hasher,
} from '@troupe/checkpoint';
import { flagIn, numberIn, textIn, type Effects, type MessageFields, type Mount } from '@troupe/runtime';
import { denseUnits, expertUnits } from '@troupe/spec';
import { addresses } from '../addresses.ts';
import { firstSource, jobShape, type Job } from '../job.ts';
import type { StoreEvent } from './events.ts';
import { fencedByStore, storeMachine, type StoreContext } from './machine.ts';

export interface StoreOptions {
  readonly job: Job;
  readonly storage: Storage;
  /** Folder of the run's checkpoints inside the storage. */
  readonly folder: string;
  /** Checkpoints that are kept; older ones are removed after a newer one is complete. */
  readonly keep: number;
  /** The resolved topology, for the manifest. */
  readonly topology: unknown;
  readonly tokenizer: Uint8Array | null;
  /** Of the documents that the run reads, for the manifest; null when it reads none, or its tokens are a program's own. */
  readonly corpusSha256: string | null;
  /** Default: a thread of its own. */
  readonly hasher?: Hasher;
  /** The checkpoint that the run goes on from, or whose weights it begins with; null for a fresh start. */
  readonly resumeFrom: CheckpointReader | null;
}

const groups = ['weights', 'adam-m', 'adam-v'] as const;

/** Every tensor of a model, by its global name: the unit of a checkpoint, whatever the layout. */
function checkpointTensors(job: Job): readonly CheckpointTensor[] {
  const units = [
    ...denseUnits(job.model),
    ...jobShape(job).layers.flatMap((layer) => expertUnits(job.model, layer)),
  ];
  return units.flatMap((unit) =>
    unit.parameters.flatMap(({ name, shape }) =>
      groups.map((group) => ({ name, shape, dtype: 'f32' as const, group })),
    ),
  );
}

export function mountStore(options: StoreOptions): Mount {
  const { job, storage, folder, keep } = options;
  const hashing = options.hasher === undefined ? {} : { hasher: options.hasher };
  return (self) => {
    const requests: StoreEvent[] = [];
    /** What slices are read from: what the run began with, or what it went back to. */
    let source = options.resumeFrom;
    const hasMoments = firstSource(job) !== 'weights';
    /** Checkpoints of this run. Others in its folder may be of a run that went another way from an earlier step. */
    const written = new Set<string>();
    let begun: {
      isStarted: boolean;
      readonly start: (writer: Promise<CheckpointWriter>) => void;
      readonly writer: Promise<CheckpointWriter>;
      /** Checkpoints that may be left when this one is there; null: as many as there are. */
      keeps: number | null;
    };
    const expectBegin = (): void => {
      let start: (writer: Promise<CheckpointWriter>) => void = () => {};
      const writer = new Promise<CheckpointWriter>((resolve) => (start = resolve));
      // A folder that cannot be begun is told when the checkpoint ends; until then nobody may be waiting.
      writer.catch(() => {});
      begun = { isStarted: false, start, writer, keeps: keep };
    };
    const forget = (): void => {
      puts = [];
      expectBegin();
    };
    /** Closes a snapshot that was opened here. */
    const release = async (): Promise<void> => {
      const opened = source;
      source = options.resumeFrom;
      if (opened !== options.resumeFrom) await opened?.close();
    };
    /** The newest intact checkpoint up to `step`, or what the run began with. */
    const find = async (step: number): Promise<MessageFields> => {
      await release();
      if (job.checkpointEvery >= 0) source = (await newestUpTo(step)) ?? options.resumeFrom;
      const exists = source !== null;
      if (source === null || source === options.resumeFrom)
        return { step: job.first.step, body: { exists, adamClock: job.first.adamClock } };
      const { adamClock } = source.manifest.trajectory as { adamClock: number };
      return { step: source.manifest.step, body: { exists, adamClock } };
    };
    const newestUpTo = async (step: number): Promise<CheckpointReader | null> => {
      const folders = (await storage.exists(folder)) ? checkpointFolders(await storage.list(folder)) : [];
      for (const { name } of folders.filter((each) => each.step <= step && written.has(each.name))) {
        try {
          const path = folder === '' ? name : `${folder}/${name}`;
          return await openCheckpoint(storage, path, hashing);
        } catch (error) {
          // A damaged one is no snapshot; the one before it repeats more steps, with the same numbers.
          if (!(error instanceof CheckpointDamagedError)) throw error;
          self.logger.warn('checkpoint passed over', { name, reason: error.message });
        }
      }
      return null;
    };
    expectBegin();
    let puts: Promise<unknown>[] = [];

    const finish = async (): Promise<{ body: { path: string } }> => {
      const writer = await begun.writer;
      const outcomes = await Promise.allSettled(puts);
      const failure = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failure !== undefined) {
        await writer.abort();
        throw failure.reason;
      }
      const { folder: path } = await writer.finish();
      written.add(folder === '' ? path : path.slice(folder.length + 1));
      if (begun.keeps !== null) await pruneCheckpoints(storage, folder, begun.keeps, hashing);
      return { body: { path } };
    };
    /** Throws away what lacks pieces; nothing of it was visible. */
    const discard = async (): Promise<MessageFields> => {
      const writer = await begun.writer;
      await Promise.allSettled(puts);
      await writer.abort();
      return {};
    };
    const readSlice = async (event: StoreEvent): Promise<{ tensors: readonly Float32Array[] }> => {
      const from = source;
      assert(from, 'slices are read only of a snapshot');
      const length = numberIn(event, 'length');
      const read = (group: (typeof groups)[number]) =>
        from.read(textIn(event, 'name'), group, numberIn(event, 'offset'), length);
      const weights = await read('weights');
      if (from === options.resumeFrom && !hasMoments)
        return { tensors: [weights, new Float32Array(length), new Float32Array(length)] };
      return { tensors: [weights, await read('adam-m'), await read('adam-v')] };
    };
    const request = (event: StoreEvent): StoreEvent => {
      const found = requests[event.microbatch];
      assert(found, 'an answer belongs to a request');
      return found;
    };

    const effects: Effects<StoreContext, StoreEvent> = {
      readSlice: (event) => {
        requests.push(event);
        self.settle(readSlice(event), 'slice.ready', 'slice.failed', { microbatch: requests.length - 1 });
      },
      answerSlice: (event) => {
        const asked = request(event);
        const { attempt } = asked;
        const body = { from: asked.body['from'] ?? 0 };
        self.reply(asked, 'slices.read', { attempt, tensors: event.tensors, body });
      },
      refuseSlice: (event) => {
        assert(event.error, 'a failed read carries its error');
        self.refuse(request(event), deserializeError(event.error));
      },
      open: (event) => {
        const base = {
          step: event.step,
          topology: options.topology,
          trajectory: { adamClock: numberIn(event, 'adamClock') },
          dataCursor: { step: event.step },
          rngKeys: { seed: job.seed },
          corpusSha256: options.corpusSha256,
          ...(options.resumeFrom === null ? {} : { parents: [options.resumeFrom.manifest.manifestSha256] }),
        };
        const more = {
          ...(options.tokenizer === null ? {} : { tokenizer: options.tokenizer }),
          ...hashing,
        };
        const writer = beginCheckpoint(storage, folder, base, checkpointTensors(job), more);
        begun.isStarted = true;
        // Nobody knows yet whether the next step will find the parameters of this one blown up; then the one before is wanted.
        const most = flagIn(event, 'isLast') ? keep : Math.max(2, keep);
        begun.keeps = flagIn(event, 'prunes') ? most : null;
        begun.start(writer);
      },
      put: (event) => {
        const [name, offset] = [textIn(event, 'name'), numberIn(event, 'offset')];
        // The buffers stay as they are until the trainer has heard of this checkpoint, so waiting for the writer is safe.
        const put = begun.writer.then((writer) =>
          Promise.all(
            groups.map((group, index) =>
              writer.put(name, group, offset, asFloat32(event.tensors[index] as Floats)),
            ),
          ),
        );
        put.catch(() => {});
        puts.push(put);
      },
      finish: () => {
        self.settle(finish().finally(forget), 'checkpoint.finished', 'checkpoint.broken');
      },
      discard: () => {
        const discarded = begun.isStarted ? discard() : Promise.resolve({});
        self.settle(discarded.finally(forget), 'checkpoint.discarded', 'checkpoint.discarded');
      },
      reportSettled: (_event, { attempt }) => self.tell(addresses.trainer, 'checkpoint.settled', { attempt }),
      findSnapshot: (event) => {
        requests.push(event);
        self.settle(find(event.step), 'snapshot.opened', 'snapshot.unreadable', {
          microbatch: requests.length - 1,
        });
      },
      answerSnapshot: (event) => {
        const asked = request(event);
        self.reply(asked, 'snapshot.found', { attempt: asked.attempt, step: event.step, body: event.body });
      },
      refuseSnapshot: (event) => {
        assert(event.error, 'a failed search carries its error');
        self.refuse(request(event), deserializeError(event.error));
      },
      release: () => {
        release().catch((error: unknown) =>
          self.logger.warn('snapshot not closed', { reason: String(error) }),
        );
      },
      reportWritten: (event, context) => {
        self.tell(addresses.trainer, 'checkpoint.written', { step: context.step, body: event.body });
      },
      reportBroken: (event, context) => {
        const { code, message, retryable } = event.error ?? {
          code: 'TROUPE_UNKNOWN',
          message: 'unknown',
          retryable: false,
        };
        self.tell(addresses.trainer, 'checkpoint.failed', {
          step: context.step,
          body: { code, message, retryable },
        });
      },
    };
    return {
      machine: storeMachine,
      input: undefined,
      effects,
      epoch: ({ attempt }: StoreContext) => ({ step: 0, attempt }),
      fenced: new Set(fencedByStore),
    };
  };
}

/** Checkpoints hold f32; the float64 oracle's values are rounded once. */
const asFloat32 = (values: Floats): Float32Array =>
  values instanceof Float32Array ? values : Float32Array.from(values);
