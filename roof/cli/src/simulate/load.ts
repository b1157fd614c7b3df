import { readFile } from 'node:fs/promises';
import type { RecordedLoad } from 'troupe';
import { UsageError } from '../errors.ts';

/**
 * The file of a flag `--load`.
 *
 * @throws {UsageError} when it cannot be read, or is not what `--record-load` writes
 */
export async function readLoad(path: string): Promise<RecordedLoad> {
  const { isRecordedLoad } = await import('troupe');
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new UsageError(
      `--load: '${path}' cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (!isRecordedLoad(value))
    throw new UsageError(
      `--load: '${path}' holds no counts by layer and expert; \`simulate FILE --record-load ${path}\` writes them`,
    );
  return value;
}
