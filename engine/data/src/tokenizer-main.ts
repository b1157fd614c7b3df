// The process in which Hugging Face tokenizers runs, started by `tokenizer-process.ts`: the library is native code that aborts its
// process on some files and texts, and nothing else is to end with it. The only door to the library.
import { Worker } from 'node:worker_threads';
import type * as Library from '@anush008/tokenizers';
import type { TokenizerAnswer, TokenizerOrder, TokenizerTask } from './tokenizer-order.ts';

let tokenizer: Library.Tokenizer | undefined;
const limits = new Int32Array(new SharedArrayBuffer(8));
const watchdog = new Worker(new URL('./tokenizer-watchdog.js', import.meta.url), { workerData: limits });
watchdog.unref();

function loaded(): Library.Tokenizer {
  if (tokenizer === undefined) throw new Error('no tokenizer was loaded');
  return tokenizer;
}

async function carryOut(task: TokenizerTask): Promise<TokenizerAnswer> {
  switch (task.kind) {
    case 'load': {
      let library: typeof Library;
      try {
        library = await import('@anush008/tokenizers');
      } catch (error) {
        return { absent: messageOf(error) };
      }
      const one = library.Tokenizer.fromString(task.json);
      tokenizer = one;
      return { added: task.added.map((token) => one.tokenToId(token)) };
    }
    case 'encode': {
      const encodings = await loaded().encodeBatch([...task.texts], { addSpecialTokens: false });
      return { ids: encodings.map((encoding) => Int32Array.from(encoding.getIds())) };
    }
    default:
      return { text: await loaded().decode([...task.ids], task.skipSpecial) };
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function answer({ allowance, task }: TokenizerOrder): Promise<void> {
  limits[1] = Math.ceil(process.memoryUsage.rss() / 2 ** 20 + allowance.megabytes);
  Atomics.store(limits, 0, allowance.seconds);
  Atomics.notify(limits, 0);
  let found: TokenizerAnswer;
  try {
    found = await carryOut(task);
  } catch (error) {
    found = { refused: messageOf(error) };
  }
  Atomics.store(limits, 0, 0);
  process.send?.(found);
}

process.on('message', (order: TokenizerOrder) => void answer(order));
// Whoever asked is gone; a thread that is in the middle of a text would keep a polite exit waiting.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Ctrl-C reaches the whole group: the one who asked decides when this ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
