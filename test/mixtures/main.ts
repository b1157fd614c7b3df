/**
 * `node test/dist/mixtures/main.js [WORD …]`: trains every mixture whose name has these words, without what does not run so far, in this
 * process and in a simulated cluster, and says where its numbers are not those of one process.
 */
import { nameOf } from './mixture.ts';
import { builtPart, differences, refusedOf, simulatedDifferences } from './mixture-run.ts';
import { encoderMixtures } from './encoder-table.ts';
import { mixtures } from './table.ts';

const words = process.argv.slice(2);
const chosen = [...mixtures, ...encoderMixtures].filter((mixture) =>
  words.every((word) => nameOf(mixture).split(' ').includes(word)),
);
let [whole, wrong] = [0, 0];
for (const mixture of chosen) {
  const refused = refusedOf(mixture);
  const startedMs = performance.now();
  const built = builtPart(mixture);
  const found = await differences(built)
    .then(async (others) => [...others, ...(await simulatedDifferences(built))])
    .catch((error: unknown) => [String(error)]);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const without = refused.length === 0 ? '' : `without ${refused.join(', ')}: `;
  if (refused.length === 0) whole++;
  if (found.length > 0) wrong++;
  console.log(
    `${nameOf(mixture)}: ${without}${found.length === 0 ? `equal, ${seconds} s` : found.join('; ')}`,
  );
}
console.log(`${chosen.length} mixtures: ${whole} ran whole, ${wrong} with other numbers than one process`);
process.exitCode = wrong > 0 ? 1 : 0;
