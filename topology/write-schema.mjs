// Writes topology.schema.json from the zod schema: `npm run schema -w topology`.
import { writeFileSync } from 'node:fs';
import { jsonSchema } from './dist/index.js';

writeFileSync(new URL('topology.schema.json', import.meta.url), `${JSON.stringify(jsonSchema(), null, 2)}\n`);
