import { pointsOf, seriesNames } from './series.ts';
import { pathIn, type OpenSink, type SinkPlace } from './sink.ts';

const HEADER = ['step', ...seriesNames].join(',');

/** The first of `metrics.csv`, `metrics-2.csv` … that does not exist or has these columns: another version may have written others. */
async function freePath(place: SinkPlace): Promise<string> {
  const { storage } = place;
  const line = new TextEncoder().encode(`${HEADER}\n`);
  for (let number = 1; ; number++) {
    const path = pathIn(place, number === 1 ? 'metrics.csv' : `metrics-${number}.csv`);
    const sizeBytes = (await storage.exists(path)) ? await storage.sizeBytes(path) : 0;
    if (sizeBytes === 0) return path;
    if (sizeBytes < line.byteLength) continue;
    const first = await storage.read(path, { offset: 0, lengthBytes: line.byteLength });
    if (first.every((byte, index) => byte === line[index])) return path;
  }
}

/**
 * `metrics.csv`: a row for every step and one for every evaluation, a column for every curve; what a row does not measure is empty.
 *
 * A resumed run appends; where a step comes twice, the later row counts.
 */
export const openCsv: OpenSink = async (place) => {
  const path = await freePath(place);
  const file = await place.storage.grow(path);
  const encoder = new TextEncoder();
  const append = (line: string): void => file.append(encoder.encode(`${line}\n`));
  if (file.openedBytes === 0) append(HEADER);
  return {
    path,
    write: (event) => {
      const found = pointsOf(event);
      if (found === null) return;
      const values = new Map(found.points.map(({ series, value }) => [series, value]));
      append([found.step, ...seriesNames.map((name) => values.get(name) ?? '')].join(','));
    },
    close: () => file.close(),
  };
};
