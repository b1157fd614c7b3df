import type { Machine } from './machine.ts';

/** Where ssh listens on a machine that has a server. */
const SSH = 22;

/** TCP ports on which programs of a machine listen, its ssh server's left out, smallest first. */
export async function listeningPorts(machine: Machine): Promise<readonly number[]> {
  const { code, stdout, stderr } = await machine.run(['ss', '-H', '-l', '-t', '-n']);
  if (code !== 0) throw new Error(`ss on ${machine.name} ended with ${code}: ${stderr}`);
  const ports = stdout.split('\n').flatMap((line) => {
    const port = Number(/:(\d+)\s/u.exec(line)?.[1] ?? NaN);
    return Number.isNaN(port) || port === SSH ? [] : [port];
  });
  return [...new Set(ports)].sort((a, b) => a - b);
}
