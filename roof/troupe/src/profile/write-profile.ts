import { createReadStream, existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import {
  Arrows,
  ProfileTally,
  TraceWriter,
  type MachineRates,
  type ProfileEvent,
  type ProfileRecord,
  type StepRecord,
} from '@troupe/telemetry';
import { fileStorage } from '../ports/file-storage.ts';

export interface ProfileParts {
  /** Parts of the processes, the agent's first; one that does not exist is passed over. */
  readonly paths: readonly string[];
  /** Where the trace goes; `.gz` compresses it. */
  readonly path: string;
  /** Of one device. */
  readonly rates: MachineRates;
}

/** The records of a part; `null` where it has no end, since a process was killed or its disk full, or was cut short. */
async function* recordsOf(path: string): AsyncGenerator<ProfileRecord | null> {
  if (!existsSync(path)) return;
  let [isWhole, isBegun] = [false, false];
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    let record: ProfileRecord;
    try {
      record = JSON.parse(line) as ProfileRecord;
    } catch {
      // The line that was being written when the process ended.
      continue;
    }
    // Another process goes on where one was killed.
    if (record.kind === 'node' && isBegun && !isWhole) yield null;
    isBegun = true;
    isWhole = record.kind === 'end' && !record.isTruncated;
    yield record;
  }
  if (!isWhole) yield null;
}

/** What the figures need to know before they are added up. */
async function survey(
  paths: readonly string[],
): Promise<{ readonly arrows: Arrows; readonly steps: readonly StepRecord[] }> {
  const arrows = new Arrows();
  const steps: StepRecord[] = [];
  for (const path of paths) {
    for await (const record of recordsOf(path)) {
      if (record === null) continue;
      arrows.see(record);
      if (record.kind === 'step') steps.push(record);
    }
  }
  return { arrows, steps };
}

/** The trace as text, one event a line, while its figures are added up. */
class TraceText {
  readonly #paths: readonly string[];
  readonly #arrows: Arrows;
  readonly #tally: ProfileTally;
  readonly truncated: string[] = [];
  numEvents = 0;

  constructor(paths: readonly string[], arrows: Arrows, tally: ProfileTally) {
    this.#paths = paths;
    this.#arrows = arrows;
    this.#tally = tally;
  }

  async *chunks(): AsyncGenerator<string> {
    yield '[';
    for (const [index, path] of this.#paths.entries()) {
      const writer = new TraceWriter(index + 1, this.#arrows);
      let node = basename(path);
      this.#tally.beginNode();
      for await (const record of recordsOf(path)) {
        if (record === null) {
          if (!this.truncated.includes(node)) this.truncated.push(node);
          continue;
        }
        if (record.kind === 'node') node = record.node;
        this.#tally.add(record);
        let text = '';
        for (const event of writer.events(record))
          text += `${this.numEvents++ === 0 ? '\n' : ',\n'}${JSON.stringify(event)}`;
        if (text !== '') yield text;
      }
    }
    yield '\n]\n';
  }
}

function bytesOf(chunks: AsyncIterable<string>, isCompressed: boolean): AsyncIterable<Uint8Array> {
  const encoded = Readable.from(chunks, { objectMode: false });
  // A failed source fails the compressor and its reader: pipeline carries the error.
  return isCompressed ? pipeline(encoded, createGzip(), () => {}) : encoded;
}

/**
 * Joins the parts of a profile into one trace, written aside and renamed, adds up its figures, and removes the parts.
 *
 * Reads the parts twice and holds one record at a time, the names of the packets, and 40 bytes a call and a turn.
 *
 * @throws {TroupeError} TROUPE_STORAGE_FULL, TROUPE_STORAGE_DENIED, TROUPE_STORAGE_MISSING or TROUPE_STORAGE_FAILED naming the trace;
 * the parts are then still there
 */
export async function writeProfile({ paths, path, rates }: ProfileParts): Promise<ProfileEvent> {
  const { arrows, steps } = await survey(paths);
  const tally = new ProfileTally(steps);
  const text = new TraceText(paths, arrows, tally);
  const file = await fileStorage(dirname(path)).create(basename(path));
  try {
    for await (const chunk of bytesOf(text.chunks(), path.endsWith('.gz'))) await file.write(chunk);
    await file.commit();
  } catch (error) {
    await file.abort();
    throw error;
  }
  await Promise.all(paths.map((part) => rm(part, { force: true })));
  const { numSteps, numDevices, stepMs, shares, lines } = tally.figures(rates);
  const [first, last] = [steps[0], steps.at(-1)];
  return {
    event: 'profile',
    path,
    steps:
      numSteps === 0 || first === undefined || last === undefined
        ? null
        : { first: first.step, last: last.step },
    devices: numDevices,
    stepMs,
    shares,
    peakFlops: rates.flops,
    bytesPerSecond: rates.bytes,
    lines,
    traceEvents: text.numEvents,
    arrows: arrows.size,
    truncated: text.truncated,
  };
}
