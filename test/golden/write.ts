/**
 * Writes golden numbers: `node test/dist/golden/write.js [native.f32 …]`. Only from a commit whose numbers are the ones to keep: never
 * to make a test green. See README.md.
 */
import { goldenSets } from './cases.ts';
import { nameOf, writeGolden } from './golden-file.ts';
import { missing, play } from './play.ts';

const wanted = process.argv.slice(2);
for (const set of goldenSets) {
  if (wanted.length > 0 && !wanted.includes(nameOf(set))) continue;
  const reason = await missing(set.body);
  if (reason !== null) throw new Error(`${nameOf(set)} cannot be written here: ${reason}`);
  const golden = new Map<string, readonly string[]>();
  for (const each of set.cases) {
    const [first] = each.runs;
    if (first !== undefined) golden.set(each.name, await play(set, each, first));
  }
  process.stdout.write(`${writeGolden(set, golden)}\n`);
}
