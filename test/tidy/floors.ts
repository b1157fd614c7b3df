/** One floor of the house, with the folders of its packages. */
interface Floor {
  readonly name: string;
  readonly folders: readonly string[];
}

/** The house from the roof down, as the README shows it: code imports from its own floor and from those below. */
export const floors: readonly Floor[] = [
  { name: 'outside', folders: ['test', 'examples'] },
  { name: 'roof', folders: ['roof/cli', 'roof/troupe'] },
  { name: 'actors', folders: ['actors'] },
  { name: 'topology', folders: ['topology'] },
  {
    name: 'engine',
    folders: [
      'engine/sim',
      'engine/telemetry',
      'engine/journal',
      'engine/checkpoint',
      'engine/data',
      'engine/model',
      'engine/transport',
      'engine/runtime',
    ],
  },
  { name: 'kernels', folders: ['kernels'] },
  {
    name: 'ground',
    folders: ['ground/wire', 'ground/scaling', 'ground/spec', 'ground/kernel-set', 'ground/core'],
  },
];

/** `engine/sim` is the house `sim`. */
const nameOf = (folder: string): string => folder.slice(folder.lastIndexOf('/') + 1);

const houseOfFolder = new Map(
  floors.flatMap(({ folders }) => folders.map((folder): [string, string] => [folder, nameOf(folder)])),
);

const downTo = (house: string): number =>
  floors.findIndex(({ folders }) => folders.some((folder) => nameOf(folder) === house));

/** How many floors a house lies above the ground; what is no house lies above them all. */
export const heightOf = (house: string): number => floors.length - 1 - downTo(house);

/** Name of the floor that a house lies on. */
export const floorNameOf = (house: string): string => floors[downTo(house)]?.name ?? 'no floor';

/** Name of the house that a path lies in: `engine/sim/src/a.ts` is in `sim`, `actors/gate/a.ts` in `actors`. */
export function houseNameOf(path: string): string | null {
  const [first = '', second = ''] = path.split('/');
  return houseOfFolder.get(first) ?? houseOfFolder.get(`${first}/${second}`) ?? null;
}

/** Floors as the table of the README shows them. */
export function floorsOfPage(page: string): readonly Floor[] {
  const table = page.slice(page.indexOf('| floor | folder |')).split('\n\n')[0] ?? '';
  const found: { name: string; folders: string[] }[] = [];
  for (const [, name = '', folder = ''] of table.matchAll(/^\| *(?:\*\*(\w+)\*\*)? *\| \[`([^`]+)`\]/gm)) {
    if (name !== '') found.push({ name, folders: [] });
    found.at(-1)?.folders.push(folder);
  }
  return found;
}
