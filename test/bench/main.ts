import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { benchKernels, formatKernels } from './kernels.ts';
import { machineLines } from './machine.ts';
import { benchMemory, formatMemory } from './memory.ts';
import { benchStep, formatStep } from './step.ts';
import { benchWire, formatWire } from './wire.ts';

/**
 * `npm run bench -- NAME [--small]`: runs one bench and rewrites its section of RESULTS.md (not with --small, which only shows that
 * it runs).
 */
const benches = {
  kernels: {
    title: 'Kernels',
    run: async (size: 'small' | 'full') => formatKernels(await benchKernels({ size })),
  },
  step: {
    title: 'Training steps',
    run: async (size: 'small' | 'full') => formatStep(await benchStep({ size })),
  },
  wire: { title: 'Wire', run: async (size: 'small' | 'full') => formatWire(await benchWire({ size })) },
  memory: {
    title: 'Memory of a long run',
    run: async (size: 'small' | 'full') => formatMemory(await benchMemory({ size })),
  },
} as const;

type BenchName = keyof typeof benches;
const isBench = (name: string | undefined): name is BenchName => name !== undefined && name in benches;

const page = fileURLToPath(new URL('../../../test/bench/RESULTS.md', import.meta.url));
const heading =
  '# Results\n\nWritten by `npm run bench -- kernels | step | wire | memory`; every table comes from one run. Never asserted in a test.\n';

/** Replaces one section of the page, or adds it at the end. */
function withSection(text: string, title: string, body: string): string {
  const sections = text.split(/^(?=## )/mu);
  const section = `## ${title}\n\n${body}\n\n`;
  const index = sections.findIndex((each) => each.startsWith(`## ${title}\n`));
  if (index === -1) return `${text.trimEnd()}\n\n${section}`.trimEnd() + '\n';
  sections[index] = section;
  return sections.join('').trimEnd() + '\n';
}

const [name, ...flags] = process.argv.slice(2);
if (!isBench(name)) {
  process.stderr.write(
    `bench: found ${name ?? 'nothing'}, expected one of ${Object.keys(benches).join(', ')}\n`,
  );
  process.exit(2);
}
const size = flags.includes('--small') ? 'small' : 'full';
const { title, run } = benches[name];
const table = await run(size);
process.stdout.write(`${table}\n`);
if (size === 'full') {
  const old = await readFile(page, 'utf8').catch(() => heading);
  await writeFile(page, withSection(old, title, `${machineLines(`npm run bench -- ${name}`)}\n\n${table}`));
  process.stdout.write(`\nwritten to test/bench/RESULTS.md\n`);
}
