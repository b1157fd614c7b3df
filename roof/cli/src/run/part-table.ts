import type { PartLoss } from 'troupe';
import { count, nats } from './numbers.ts';

/** Held-out losses by task and language, a line each; nothing where all text is of one kind. */
export function partTable(parts: readonly PartLoss[]): readonly string[] {
  const widest = (key: 'task' | 'language'): number => Math.max(...parts.map((part) => part[key].length));
  const [task, language] = [widest('task'), widest('language')];
  return parts.map(
    (part) =>
      `${part.task.padEnd(task)}  ${part.language.padEnd(language)}  ${nats(part.loss)} over ${count(part.tokens)} tokens`,
  );
}
