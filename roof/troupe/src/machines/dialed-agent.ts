import { hostname } from 'node:os';
import { runAgent } from './agent-process.ts';
import { sayOver } from './agent-wire.ts';
import { dialLead, type DialOptions } from './dial-lead.ts';

/**
 * Dials the lead of a run, and makes this process the agent of its machine.
 *
 * @param options - `of`: machines of the run
 * @throws {DialRefusedError} TROUPE_DIAL_REFUSED · {LeadUnreachableError} TROUPE_LEAD_UNREACHABLE
 */
export async function runDialedAgent(options: DialOptions & { readonly of: number }): Promise<never> {
  const socket = await dialLead(options);
  // A lead whose machine has lost power closes nothing.
  socket.setKeepAlive(true, 10_000);
  const { machine, of } = options;
  const wire = { input: socket, output: socket, isDialed: true };
  sayOver(wire)({ type: 'dial', machine, of, hostname: hostname(), pid: process.pid });
  return await runAgent(wire);
}
