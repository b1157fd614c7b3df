/** One object on one line of standard output, for programs. */
export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Lines of standard output, for people. */
export function print(...lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Lines of standard error. */
export function printError(...lines: readonly string[]): void {
  process.stderr.write(`${lines.join('\n')}\n`);
}

/** A pipe whose reader has left (`troupe … | head`), and a terminal that was closed. */
const closed = new Set(['EPIPE', 'EIO', 'ENXIO']);

/** Whoever reads our output may leave; what is running goes on. */
export function ignoreClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (!closed.has(error.code ?? '')) throw error;
    });
  }
}
