import { printError } from '../output.ts';

/** Keys that divide the work: who sets one wants workers. */
const dividing = /^(?:parallel|machines|placement)(?:[.=]|$)/u;

/**
 * Does something with a checkpoint on one device or, where `--set` divides it or one device has no room for it, on workers.
 *
 * @param ways - on workers: divided as the run was, or as `--set` says
 */
export async function dividedOrWhole<T>(
  set: readonly string[],
  ways: { readonly onOneDevice: () => Promise<T>; readonly onWorkers: () => Promise<T> },
): Promise<T> {
  if (set.some((each) => dividing.test(each))) return ways.onWorkers();
  try {
    return await ways.onOneDevice();
  } catch (error) {
    const { MachineMemoryError } = await import('troupe');
    if (!(error instanceof MachineMemoryError)) throw error;
    printError(`troupe: warning: ${error.message}; trying the workers of the run`);
    return ways.onWorkers();
  }
}
