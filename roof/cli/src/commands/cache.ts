import { Argument, type Command } from 'commander';
import { print, printJson } from '../output.ts';
import { verb, type CommonOptions } from '../verb.ts';

/** `2026-11-30 01:28`, of the machine's own time. */
function shown(ms: number): string {
  const date = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

async function cache(action: 'list' | 'clear', options: CommonOptions): Promise<void> {
  const [{ CACHE_BYTES_MAX, cachedEntries, clearCache }, { cacheFolder }, { bytes }] = await Promise.all([
    import('@troupe/data'),
    import('troupe'),
    import('../run/numbers.ts'),
  ]);
  const folder = cacheFolder();
  const entries = action === 'list' ? cachedEntries(folder) : clearCache(folder, Date.now());
  const sum = entries.reduce((all, entry) => all + entry.bytes, 0);
  if (options.json === true) {
    const listed = entries.map(({ usedMs, ...entry }) => ({
      ...entry,
      used: new Date(usedMs).toISOString(),
    }));
    printJson({ event: 'cache', action, folder, bytes: sum, bytesMax: CACHE_BYTES_MAX, entries: listed });
    return;
  }
  if (action === 'clear') {
    print(`removed ${entries.length} entries of ${folder}, ${bytes(sum)}`);
    return;
  }
  const width = Math.max(0, ...entries.map((entry) => bytes(entry.bytes).length));
  print(
    ...entries.map(
      ({ name, bytes: size, usedMs }) => `${bytes(size).padStart(width)}  ${shown(usedMs)}  ${name}`,
    ),
    `${entries.length} entries in ${folder}, ${bytes(sum)} of at most ${bytes(CACHE_BYTES_MAX)}; what was used least recently goes first`,
  );
}

export function registerCache(program: Command): void {
  verb(
    program,
    'cache',
    'List or remove the tokenizers and token ids that are kept between runs; what is removed is made again when it is needed.',
    'npx troupe cache list\n  npx troupe cache clear',
  )
    .addArgument(new Argument('<action>', 'what to do').choices(['list', 'clear']))
    .action(cache);
}
