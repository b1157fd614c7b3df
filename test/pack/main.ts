/** `npm run pack`: writes what people install to `build/pack`, with the size of each tarball. */
import { join } from 'node:path';
import { repositoryRoot } from '../tidy/source-file.ts';
import { packAll } from './pack.ts';

const root = repositoryRoot();
packAll(root, join(root, 'build/pack'), (line) => console.log(line));
