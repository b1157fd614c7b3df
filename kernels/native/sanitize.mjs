// Builds the kernels and their C++ drivers under sanitizers and runs each once.
//
//   node kernels/native/sanitize.mjs [rounds] [seed] [address | thread]
//
// address: AddressSanitizer and UndefinedBehaviorSanitizer. thread: ThreadSanitizer, the drivers that use threads. Without a name both.
// Optimised lightly (-O1): what is looked for are reads past an edge, overflowing arithmetic and races, not time.
// There are no suppressions: nothing here is reported that we know to be harmless.
import { findCompiler } from './build.mjs';
import { runDrivers } from './drivers.mjs';

const [rounds = '12', seed = '1', only] = process.argv.slice(2);
const sanitizers = {
  address: { flags: ['-fsanitize=address,undefined'], environment: {} },
  // The address space is not shuffled: with much of it random, gcc 12's runtime refuses to start.
  thread: {
    flags: ['-fsanitize=thread'],
    environment: { TSAN_OPTIONS: 'halt_on_error=1' },
    runner: process.platform === 'linux' ? ['setarch', '--addr-no-randomize'] : [],
    only: ['queue', 'invariants', 'products', 'rows', 'routing'],
  },
};
if (only !== undefined && !(only in sanitizers)) {
  process.stderr.write(`sanitize: found ${only}, expected ${Object.keys(sanitizers).join(' or ')}\n`);
  process.exit(2);
}

let failures = 0;
for (const [name, { flags, ...rest }] of Object.entries(sanitizers)) {
  if (only !== undefined && only !== name) continue;
  const { failed } = await runDrivers({
    ...findCompiler(),
    ...rest,
    flags: [...flags, '-fno-sanitize-recover=all', '-fno-omit-frame-pointer', '-g1', '-O1'],
    directory: `sanitize-${name}`,
    args: [rounds, seed],
  });
  failures += failed.length;
}
process.exitCode = failures === 0 ? 0 : 1;
