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
/** A disk, a quota or a limit on the size of files that is full. */
const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** OUT-3: the reader of our output may leave, and its disk may fill; the work continues. */
export function ignoreLostOutput(): void {
  const { stdout, stderr } = process;
  for (const stream of [stdout, stderr]) {
    let isTold = false;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? '';
      if (closed.has(code)) return;
      if (!full.has(code)) throw error;
      if (stream === stdout && !isTold)
        printError(`troupe: standard output is full (${code}): what does not fit is lost; the work goes on`);
      isTold = true;
    });
  }
}

/** Of a command that does nothing but show: it ends when its reader has left (`troupe top … | head`). */
export function endWithReader(): void {
  process.stdout.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
    if (closed.has(code)) process.exit(0);
  });
}
