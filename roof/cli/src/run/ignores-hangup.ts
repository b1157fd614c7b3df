import { readFileSync } from 'node:fs';

/** The first bit of a set of signals in /proc: SIGHUP is signal 1. */
const HANGUP_BIT = 1n;
const isNohup = (command: string | undefined): boolean => /(?:^|\/)nohup$/u.test(command ?? '');

interface Ancestor {
  readonly parent: number;
  readonly session: number;
  readonly ignoresHangup: boolean;
  /** What the shell that started it ran: `_` of its environment. */
  readonly command: string | undefined;
}

/** null: it is gone, is another user's, or there is no /proc. */
function ancestorOf(pid: number): Ancestor | null {
  const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8');
  try {
    // Behind the name, which may hold anything: state, parent, group, session.
    const [, parent, , session] = read('stat').split(') ').at(-1)?.split(' ') ?? [];
    const ignored = /^SigIgn:\s*([0-9a-f]+)$/mu.exec(read('status'))?.[1] ?? '0';
    const command = /(?:^|\0)_=([^\0]*)/u.exec(read('environ'))?.[1];
    return {
      parent: Number(parent),
      session: Number(session),
      ignoresHangup: (BigInt(`0x${ignored}`) & HANGUP_BIT) !== 0n,
      command,
    };
  } catch {
    return null;
  }
}

/**
 * Whether this process was started with SIGHUP ignored, as under `nohup`.
 *
 * Node gives every signal its default action back before any code of ours runs, so the process itself does not know. What remains: the
 * shell's note of what it ran (`_`), and the processes of this session that started us, which ignore it still unless they are Node as well
 * (`nohup sh -c 'npx troupe …'`; npx itself has lost it). Without /proc only the note is there. `nice nohup node …` leaves no trace at all:
 * the shell noted `nice`, and one process was each of the three in turn.
 */
export function ignoresHangup(): boolean {
  if (isNohup(process.env['_'])) return true;
  const session = ancestorOf(process.pid)?.session;
  for (let pid = process.ppid; pid > 1;) {
    const ancestor = ancestorOf(pid);
    if (ancestor === null || ancestor.session !== session) return false;
    // What started the session's first process is another matter: a terminal, say, that itself was started so.
    if (ancestor.ignoresHangup || (pid !== session && isNohup(ancestor.command))) return true;
    pid = ancestor.parent;
  }
  return false;
}
