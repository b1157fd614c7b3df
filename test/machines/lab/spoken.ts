import type { Readable } from 'node:stream';

/** Waits until a stream has said `word`, so that what follows finds its speaker ready; an end before that rejects. */
export function spoken(stream: Readable, word: string, limitMs = 20_000): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => fail(`was not said within ${limitMs} ms`), limitMs);
    const hear = (part: Buffer): void => {
      text += part.toString();
      if (!text.includes(word)) return;
      done();
      resolve();
    };
    const end = (): void => fail('was not said before the end');
    const done = (): void => {
      clearTimeout(timer);
      stream.off('data', hear).off('close', end);
    };
    const fail = (why: string): void => {
      done();
      reject(new Error(`'${word}' ${why}: ${text.trim()}`));
    };
    stream.on('data', hear).once('close', end);
  });
}
