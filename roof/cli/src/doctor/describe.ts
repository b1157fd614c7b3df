import { bytes } from '../run/numbers.ts';
import type { DeviceFinding, Findings } from './examine.ts';

const device = ({ body, available, name, reason }: DeviceFinding): string =>
  available ? `  ${body.padEnd(10)} yes  ${name ?? ''}: ${reason}` : `  ${body.padEnd(10)} no   ${reason}`;

/** The findings as lines for people. */
export function describe(found: Findings): readonly string[] {
  const { node, cpu, chosen, compiler, addon, memory, disk, freePort } = found;
  const sets = cpu.instructionSets.length === 0 ? 'instruction sets unknown' : cpu.instructionSets.join(' ');
  return [
    `node        ${node.version}${node.supported ? '' : ' (too old: 20.19 or newer is needed)'}, ${found.platform}`,
    `cpu         ${cpu.cores} cores, ${cpu.model}, ${sets}`,
    `f32 peak    ${found.peakFlops === null ? 'not measured (needs the native addon)' : `${(found.peakFlops / 1e9).toFixed(0)} GFLOP/s on all cores, the most that was measured here so far`}`,
    'devices',
    ...found.devices.map(device),
    `chosen      ${chosen.available ? `${chosen.body}: ${chosen.reason}` : `none: ${chosen.reason}`}`,
    `compiler    ${compiler.command === null ? 'none found; install g++ or clang++ for the fast kernels' : `${compiler.command} (${compiler.version ?? ''})`}`,
    `addon       ${addon.built ? `built: ${addon.path}` : `not built; ${addon.build}`}`,
    `ports       ${freePort.ok ? freePort.reason : `none can be opened: ${freePort.reason}`}`,
    `addresses   ${found.addresses.length === 0 ? 'none that another machine could reach' : `${found.addresses.join(', ')} (where other machines would look for this one, in that order)`}`,
    `memory      ${bytes(memory.freeBytes)} free of ${bytes(memory.totalBytes)}${memory.limitBytes === null ? '' : `, this process may use ${bytes(memory.limitBytes)}`}`,
    `disk        ${disk.freeBytes === null ? 'unknown' : `${bytes(disk.freeBytes)} free`} in ${disk.folder}`,
  ];
}
