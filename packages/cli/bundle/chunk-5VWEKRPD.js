import { createRequire as requireOfBundle } from 'node:module';
const require = requireOfBundle(import.meta.url);
//# sourceMappingURL=chunk-5VWEKRPD.js.map
