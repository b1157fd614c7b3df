import { pathIn, type OpenSink } from './sink.ts';

/**
 * `metrics.jsonl`: every event, one object a line, as `--json` prints it.
 *
 * A resumed run appends a new `start` and goes on; where a step comes twice, the later line counts.
 */
export const openJsonl: OpenSink = async (place) => {
  const path = pathIn(place, 'metrics.jsonl');
  const file = await place.storage.grow(path);
  const encoder = new TextEncoder();
  return {
    path,
    write: (event) => file.append(encoder.encode(`${JSON.stringify(event)}\n`)),
    close: () => file.close(),
  };
};
