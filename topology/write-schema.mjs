// Writes topology.schema.json from the zod schema: `npx tsc -b topology && node topology/write-schema.mjs`.
import { writeFileSync } from 'node:fs';
import { jsonSchema } from './dist/index.js';

writeFileSync(new URL('topology.schema.json', import.meta.url), `${JSON.stringify(jsonSchema(), null, 2)}\n`);
