import { parseArgs } from 'node:util';
import { checkBundle, CheckoutError, openCheckout, type Checkout } from './checkout.ts';
import { benchPairs, smallWorkloads, workloads, type PairsRow } from './pairs.ts';

const usage = `npm run bench -- pairs --old DIR [--new DIR] [--pairs N] [--json] [--small] [WORKLOAD …]
Times two builds in turn. A ratio is old cost over new cost: above 1, the new one is better. Writes nothing.
  --old DIR, --new DIR  built checkouts of this repository; new: default this one
  --pairs N             turns of each; default 9
  --json                a line of JSON a figure
  --small               shows that it runs
Workloads, all unless named, by the beginning of their names:
${Object.keys(workloads)
  .map((name) => `  ${name}\n`)
  .join('')}`;

const here = new URL('../../../', import.meta.url).pathname;

const figure = (value: number): string => value.toPrecision(4);

const formatRow = ({ workload, figure: name, old, new: now, numPairs, ratio, holds }: PairsRow): string =>
  [
    workload.padEnd(22),
    name.padEnd(27),
    figure(old).padStart(10),
    figure(now).padStart(10),
    ratio.median.toFixed(3).padStart(7),
    `${ratio.low.toFixed(3)}–${ratio.high.toFixed(3)}`.padStart(13),
    `${(100 * ratio.confidence).toFixed(0)} %`.padStart(5),
    String(numPairs).padStart(5),
    holds ? '' : '  worse',
  ].join(' ');

const heading = `${'workload'.padEnd(22)} ${'figure'.padEnd(27)} ${'old'.padStart(10)} ${'new'.padStart(10)} ${'old/new'.padStart(7)} ${'interval'.padStart(13)} ${''.padStart(5)} pairs`;

interface PairsOptions {
  readonly old: Checkout;
  readonly new: Checkout;
  readonly numPairs: number;
  readonly workloads: typeof workloads;
  readonly json: boolean;
}

/** @throws {CheckoutError | TypeError | RangeError} in a sentence, for what cannot be meant */
function readOptions(args: readonly string[]): PairsOptions | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      old: { type: 'string' },
      new: { type: 'string', default: here },
      pairs: { type: 'string', default: '9' },
      json: { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  if (values.old === undefined) throw new TypeError('--old is missing, expected a built checkout');
  const numPairs = Number(values.pairs);
  if (!(Number.isInteger(numPairs) && numPairs > 0))
    throw new RangeError(`--pairs: found ${values.pairs}, expected a positive integer`);
  const known = Object.entries(values.small ? smallWorkloads : workloads);
  const wrong = positionals.find((word) => !known.some(([name]) => name.startsWith(word)));
  if (wrong !== undefined)
    throw new RangeError(`found ${wrong}, expected some of ${known.map(([name]) => name).join(', ')}`);
  const [old, now] = [openCheckout(values.old), openCheckout(values.new)];
  if (!values.small) for (const checkout of [old, now]) checkBundle(checkout);
  return {
    old,
    new: now,
    numPairs,
    workloads: Object.fromEntries(
      known.filter(([name]) => positionals.length === 0 || positionals.some((word) => name.startsWith(word))),
    ),
    json: values.json,
  };
}

/** `bench pairs`: its own flags, since it compares builds and writes no page. @returns the exit code */
export async function pairsMain(args: readonly string[]): Promise<number> {
  let options: PairsOptions | 'help';
  try {
    options = readOptions(args);
  } catch (error) {
    if (!(error instanceof CheckoutError || error instanceof TypeError || error instanceof RangeError))
      throw error;
    process.stderr.write(`bench: ${error.message}\n`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(usage);
    return 0;
  }
  const { json } = options;
  if (!json) process.stdout.write(`old ${options.old.folder}\nnew ${options.new.folder}\n${heading}\n`);
  await benchPairs({
    ...options,
    report: (rows) => {
      for (const row of rows) process.stdout.write(`${json ? JSON.stringify(row) : formatRow(row)}\n`);
    },
  });
  return 0;
}
