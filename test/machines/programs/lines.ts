import { createInterface } from 'node:readline';

/** What a program on a machine is told, and what it says: JSON, an object a line. It ends when nobody is there to tell it anything. */
export function onLines(hear: (line: Readonly<Record<string, unknown>>) => void | Promise<void>): void {
  let last = Promise.resolve();
  createInterface(process.stdin)
    .on('line', (line) => {
      last = last.then(() => hear(JSON.parse(line) as Record<string, unknown>));
    })
    .on('close', () => process.exit(0));
}

export function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
