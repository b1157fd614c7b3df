import type { Checker } from './checker.ts';

/** What an agent says of its machine once in an attempt at a step. What its feeders count knows of no attempts. */
const answers = [
  'machine.loaded',
  'machine.balanced',
  'machine.measured',
  'machine.voted',
  'machine.applied',
  'machine.evaluated',
  'machine.staged',
  'machine.abandoned',
];

/** The trainer hears each answer of a machine once in an attempt at a step, and none of an actor itself: what it hears does not grow with devices (TRN-6). */
export const answersOnce = (): Checker => {
  let newest = '';
  const heard = new Set<string>();
  return {
    name: 'answers-once',
    looksAt: ['turn'],
    kinds: answers,
    see: (seen) => {
      if (seen.type !== 'turn' || seen.outcome !== 'handled') return null;
      const { kind, from, step, attempt } = seen;
      const round = `${step}/${attempt}`;
      if (round !== newest) {
        newest = round;
        heard.clear();
      }
      const answer = `${kind} ${from}`;
      if (heard.has(answer)) return `${from} says ${kind} twice in step ${step}, attempt ${attempt}`;
      heard.add(answer);
      return null;
    },
  };
};
