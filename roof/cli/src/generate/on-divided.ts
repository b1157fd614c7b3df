import type { DividedModel, OpenedRun } from 'troupe';

/** Opens a run's checkpoint on workers, does something with the model, and ends them. */
export async function onDivided<T>(
  path: string,
  options: { readonly checkpoint?: string; readonly set: readonly string[] },
  act: (opened: OpenedRun & { readonly model: DividedModel }) => Promise<T>,
): Promise<T> {
  const { DividedModel: Divided, openRun, runOfPath } = await import('troupe');
  const { folder, checkpoint: named } = runOfPath(path);
  const asked = options.checkpoint ?? named;
  const run = await openRun(folder, {
    verify: 'lazy',
    set: options.set,
    ...(asked === null ? {} : { checkpoint: asked }),
  });
  try {
    const model = await Divided.launch(run.topology, run.checkpoint);
    try {
      return await act({ ...run, model });
    } finally {
      await model.close();
    }
  } finally {
    await run.checkpoint.close();
  }
}
