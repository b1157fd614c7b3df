import { deepStrictEqual, match } from 'node:assert/strict';
import { appendFileSync, rmdirSync } from 'node:fs';
import type { Lab } from '../lab/lab.ts';
import { outputOf } from '../lab/namespaces.ts';
import { PROGRAM } from '../lab/scripts.ts';
import { seconds, type Row } from './row.ts';

interface Looked {
  readonly code: number | null;
  readonly problems: readonly string[];
  readonly ms: number;
}

async function doctor(lab: Lab, hosts: string, ...flags: readonly string[]): Promise<Looked> {
  const startMs = performance.now();
  const command = [process.execPath, `${PROGRAM}/roof/troupe/bin/troupe.js`, 'doctor', '--hosts', hosts];
  const { code, stdout, stderr } = await lab
    .at(0)
    .run([...command, '--json', ...flags], { deadlineMs: 120_000 });
  const ms = performance.now() - startMs;
  match(stdout, /"event":"hosts"/u, `${stdout}${stderr}`);
  const { problems } = JSON.parse(stdout) as { readonly problems: readonly string[] };
  return { code, problems, ms };
}

/** A fault of each kind that a host or a way between two can have. */
async function breakHosts(lab: Lab): Promise<void> {
  const [user, second, third] = [lab.at(0), lab.at(1), lab.at(2)];
  await outputOf(second.spaces.entered(['mount', '--bind', '/dev/null', process.execPath]));
  rmdirSync(third.path('/home/troupe/work'));
  await lab.links.cutOneWay(third, lab.at(3));
  appendFileSync(user.path('/home/troupe/.ssh/config'), 'Host again\n  HostName h0\n  HostKeyAlias h0\n');
  appendFileSync(user.path('/home/troupe/.ssh/config'), '  User troupe\n  IdentityFile ~/.ssh/id\n');
}

/** `troupe doctor --hosts`, as somebody at the first machine types it. */
export const doctorRow: Row = {
  name: 'doctor --hosts finds what hosts lack, and nothing where nothing lacks',
  lab: { machines: 4 },
  play: async (lab) => {
    const whole = await doctor(lab, 'h0,h1,h2,h3', '--workdir', 'work', '--port', '7700');
    deepStrictEqual([whole.code, whole.problems], [0, []]);
    await breakHosts(lab);
    const broken = await doctor(lab, 'h0,h1,h2,h3,again,h9', '--workdir', 'work');
    const expected = [
      /^h1: no node on the PATH of a command over ssh/u,
      /^h2: its workdir is no folder/u,
      /^h9: ssh ended with 255: .*h9/u,
      /^h0 and again are one machine \(h0, /u,
      /^h2 does not reach h3 at h3:\d+: no answer within 3 s/u,
      /^h3 does not reach h2 at h2:\d+: no answer within 3 s/u,
    ];
    deepStrictEqual([broken.code, broken.problems.length], [1, expected.length], broken.problems.join('\n'));
    for (const [index, says] of expected.entries()) match(broken.problems[index] ?? '', says);
    for (const machine of lab.machines) deepStrictEqual(machine.processes(), [], 'nothing is left there');
    return `four hosts in ${seconds(whole.ms)}; six faults named in ${seconds(broken.ms)}`;
  },
};
