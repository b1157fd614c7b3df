import type { LossCurve, Reached } from '@troupe/scaling';
import { table } from '@troupe/topology';

const shownReach = ({ at, share, name, target }: Reached): string =>
  at === null || share === null
    ? 'never'
    : name === target
      ? String(at.updates)
      : `${at.updates} (× ${share.toPrecision(2)})`;

/** Lines: the updates that each run needs for what each other one ends with. */
export const reachTable = (curves: readonly LossCurve[], reached: readonly Reached[]): readonly string[] => [
  'Updates until a run (left) is as good as another one (above) at its end; × the updates of that one:',
  table(
    ['', ...curves.map(({ name }) => name)],
    curves.map(({ name }) => [name, ...reached.filter((each) => each.name === name).map(shownReach)]),
    1,
  ),
];
