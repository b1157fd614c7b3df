import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { loadDevice } from '@troupe/kernels';
import { initialise, modelLayout } from '@troupe/model';
import { openTopologyData } from 'troupe';
import type { BenchJob } from './bench-job.ts';

/** Different batches of the jobs' synthetic tokens before the first comes again. */
const NUM_BATCHES = 8;

/** Elements between the starts of units, padding not counted. */
interface Entry {
  readonly dtype: 'F32' | 'I32';
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/**
 * Writes what every engine of a race starts from, as safetensors: the parameters as a run of the job draws them, under their names, and
 * `tokens`, (batches, B, S + 1), the sequences that it reads.
 *
 * Units are drawn one by one: the model never lies in memory as a whole.
 *
 * @returns path of the file
 */
export async function writeStart(job: BenchJob, folder: string): Promise<string> {
  const { model, train } = job.topology;
  const { units } = modelLayout(model);
  const tokensShape = [NUM_BATCHES, train.batch, model.seqLen + 1];
  const header: Record<string, Entry> = {};
  let end = 0;
  const add = (name: string, dtype: Entry['dtype'], shape: readonly number[]): void => {
    const first = end;
    end += 4 * shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype, shape, data_offsets: [first, end] };
  };
  for (const { parameters } of units) for (const { name, shape } of parameters) add(name, 'F32', shape);
  add('tokens', 'I32', tokensShape);

  const path = join(folder, 'start.safetensors');
  const out = createWriteStream(path);
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  await write(out, length);
  await write(out, json);
  const device = await loadDevice({ body: 'auto', threads: 2 });
  for (const unit of units) {
    const values = device.floats(unit.size);
    await new Promise<void>((resolve, reject) => {
      device.submit(initialise(unit, train.seed, values), ({ error }) =>
        error === null ? resolve() : reject(error),
      );
    });
    await write(out, Float32Array.from(device.read(values)));
  }
  await device.close();
  await write(out, await tokensOf(job));
  out.end();
  await finished(out);
  return path;
}

/** Ids of every batch with one position more than the model sees, the last one only a target. */
async function tokensOf({ topology }: BenchJob): Promise<Int32Array> {
  const { batches } = await openTopologyData(topology);
  const { seqLen, batch } = batches;
  const tokens = new Int32Array(NUM_BATCHES * batch * (seqLen + 1));
  for (let index = 0; index < NUM_BATCHES; index++) {
    // Steps of a run are counted from 1.
    const { ids_T, targets_T } = batches.trainBatch(index + 1, 0, batch);
    for (let sequence = 0; sequence < batch; sequence++) {
      const [from, to] = [sequence * seqLen, (index * batch + sequence) * (seqLen + 1)];
      tokens.set(ids_T.subarray(from, from + seqLen), to);
      tokens[to + seqLen] = targets_T[from + seqLen - 1] ?? 0;
    }
  }
  return tokens;
}

const write = (out: Writable, data: ArrayBufferView): Promise<void> =>
  new Promise((resolve, reject) => {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    out.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
