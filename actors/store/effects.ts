import type { StoreSelf } from './events.ts';
import type { StoreEffects } from './machine.ts';
import type { StoreOptions } from './options.ts';
import { readingEffects } from './reading.ts';
import { SnapshotSource } from './snapshot-source.ts';
import { writingEffects } from './writing.ts';

export function storeEffects(self: StoreSelf, options: StoreOptions): StoreEffects {
  const snapshots = new SnapshotSource(options, self.logger);
  return { ...readingEffects(self, snapshots), ...writingEffects(self, options, snapshots) };
}
