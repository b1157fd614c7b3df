import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';

/**
 * Lets this process end with its own exit code when its terminal has been closed: Node gives a terminal its settings back as it leaves,
 * and aborts when the terminal is no longer there. A descriptor that is closed it leaves alone.
 */
export function surviveClosedTerminal(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  process.on('exit', () => {
    for (const fd of terminals) if (!isatty(fd)) closeSync(fd);
  });
}
