import { availableParallelism } from 'node:os';
import { loadDevice, openRun, runOfPath, TrainedModel, type OpenedRun } from 'troupe';

/** Opens a run's checkpoint on one device, does something with the model, and puts both away. */
export async function withTrainedModel<T>(
  path: string,
  options: { readonly checkpoint?: string; readonly threads?: number; readonly set?: readonly string[] },
  act: (opened: { readonly model: TrainedModel; readonly checkpoint: OpenedRun['checkpoint'] }) => Promise<T>,
): Promise<T> {
  const { folder, checkpoint: named } = runOfPath(path);
  const asked = options.checkpoint ?? named;
  const run = await openRun(folder, {
    verify: 'lazy',
    set: options.set ?? [],
    ...(asked === null ? {} : { checkpoint: asked }),
  });
  try {
    const device = await loadDevice({
      body: run.topology.device,
      threads: options.threads ?? availableParallelism(),
    });
    try {
      return await act({ model: await TrainedModel.load(device, run), checkpoint: run.checkpoint });
    } finally {
      await device.close();
    }
  } finally {
    await run.checkpoint.close();
  }
}
