import { assert, deserializeError, type Floats, type Storage } from '@troupe/core';
import {
  beginCheckpoint,
  pruneCheckpoints,
  type CheckpointReader,
  type CheckpointTensor,
  type CheckpointWriter,
  type Hasher,
} from '@troupe/checkpoint';
import { numberIn, textIn, type Effects, type Mount } from '@troupe/runtime';
import { denseUnits, expertUnits } from '@troupe/spec';
import { addresses } from '../addresses.ts';
import { jobShape, type Job } from '../job.ts';
import type { StoreEvent } from './events.ts';
import { storeMachine, type StoreContext } from './machine.ts';

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
  /** Default: a thread of its own. */
  readonly hasher?: Hasher;
  /** The checkpoint that the run goes on from; null for a fresh start. */
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
  return (self) => {
    const requests: StoreEvent[] = [];
    let begun: {
      readonly start: (writer: Promise<CheckpointWriter>) => void;
      readonly writer: Promise<CheckpointWriter>;
    };
    const expectBegin = (): void => {
      let start: (writer: Promise<CheckpointWriter>) => void = () => {};
      const writer = new Promise<CheckpointWriter>((resolve) => (start = resolve));
      begun = { start, writer };
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
      const written = await writer.finish();
      await pruneCheckpoints(
        storage,
        folder,
        keep,
        options.hasher === undefined ? {} : { hasher: options.hasher },
      );
      return { body: { path: written.folder } };
    };
    const readSlice = async (event: StoreEvent): Promise<{ tensors: readonly Float32Array[] }> => {
      const { resumeFrom } = options;
      assert(resumeFrom, 'slices are read only by a run that resumes');
      const read = (group: (typeof groups)[number]) =>
        resumeFrom.read(textIn(event, 'name'), group, numberIn(event, 'offset'), numberIn(event, 'length'));
      return { tensors: [await read('weights'), await read('adam-m'), await read('adam-v')] };
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
        self.reply(asked, 'slices.read', { tensors: event.tensors, body: { from: asked.body['from'] ?? 0 } });
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
          ...(options.resumeFrom === null ? {} : { parents: [options.resumeFrom.manifest.manifestSha256] }),
        };
        const more = {
          ...(options.tokenizer === null ? {} : { tokenizer: options.tokenizer }),
          ...(options.hasher === undefined ? {} : { hasher: options.hasher }),
        };
        const writer = beginCheckpoint(storage, folder, base, checkpointTensors(job), more);
        writer.catch(() => {});
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
        self.settle(
          finish().finally(() => {
            puts = [];
            expectBegin();
          }),
          'checkpoint.finished',
          'checkpoint.broken',
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
    return { machine: storeMachine, input: undefined, effects };
  };
}

/** Checkpoints hold f32; the float64 oracle's values are rounded once. */
const asFloat32 = (values: Floats): Float32Array =>
  values instanceof Float32Array ? values : Float32Array.from(values);
