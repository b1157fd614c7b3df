/** `npm run docs`: rewrites what the pages in `docs/` show: the output of their commands, the keys of a topology, and the API reference. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../tidy/source-file.ts';
import { apiPage } from './api-page.ts';
import { withoutMeasures } from './page.ts';
import { topologyPage } from './topology-page.ts';
import { withMessages } from './messages-table.ts';
import { runPage } from './run-page.ts';

const root = repositoryRoot();
const docs = join(root, 'docs');

/** A page whose outputs differ in measured figures alone is left as it is. */
function write(name: string, next: string): void {
  const path = join(docs, name);
  const written = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (withoutMeasures(written) === withoutMeasures(next)) return;
  writeFileSync(path, next);
  console.log(`docs/${name}: written`);
}

for (const name of readdirSync(docs).filter(
  (each) => each.endsWith('.md') && !['api.md', 'topology.md'].includes(each),
))
  write(name, runPage(root, readFileSync(join(docs, name), 'utf8')));
write('topology.md', topologyPage());
write('../actors/README.md', withMessages(readFileSync(join(root, 'actors', 'README.md'), 'utf8')));
write('api.md', apiPage(root));
