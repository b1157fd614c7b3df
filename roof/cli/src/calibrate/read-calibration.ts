import { readFile } from 'node:fs/promises';
import type { Calibration } from 'troupe';
import { UsageError } from '../errors.ts';

/**
 * The file of a flag `--calibration`.
 *
 * @throws {UsageError} when there is no such file, or it is not JSON
 * @throws {CalibrationError} TROUPE_CALIBRATION when it is not what `bench --calibrate` writes
 */
export async function readCalibration(path: string): Promise<Calibration> {
  const { parseCalibration } = await import('troupe');
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new UsageError(
      `--calibration: '${path}' cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return parseCalibration(value, path);
}
