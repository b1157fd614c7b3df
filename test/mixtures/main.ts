/** `node test/dist/mixtures/main.js [WORD …]`: trains every mixture whose name has these words, and says where its numbers are not those of one process. */
import { nameOf } from './mixture.ts';
import { differences, refusedOf } from './mixture-run.ts';
import { mixtures } from './table.ts';

const words = process.argv.slice(2);
const chosen = mixtures.filter((mixture) => words.every((word) => nameOf(mixture).split(' ').includes(word)));
let [ran, wrong] = [0, 0];
for (const mixture of chosen) {
  const refused = refusedOf(mixture);
  const startedMs = performance.now();
  const found = refused.length > 0 ? [] : await differences(mixture);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const said =
    refused.length > 0
      ? `refused: ${refused.join(', ')}`
      : found.length === 0
        ? `equal, ${seconds} s`
        : found.join('; ');
  if (refused.length === 0) ran++;
  if (found.length > 0) wrong++;
  console.log(`${nameOf(mixture)}: ${said}`);
}
console.log(`${chosen.length} mixtures: ${ran} ran, ${wrong} with other numbers than one process`);
process.exitCode = wrong > 0 ? 1 : 0;
