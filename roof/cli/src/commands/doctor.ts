import type { Command } from 'commander';
import { print, printJson } from '../output.ts';
import { verb, type CommonOptions } from '../verb.ts';

async function doctor(options: CommonOptions): Promise<void> {
  const { examine } = await import('../doctor/examine.ts');
  const { describe } = await import('../doctor/describe.ts');
  const findings = await examine();
  if (options.json === true) printJson({ event: 'doctor', ...findings });
  else print(...describe(findings));
}

export function registerDoctor(program: Command): void {
  verb(
    program,
    'doctor',
    'Show what this machine has and which device a run would use, and why.',
    'npx troupe doctor',
  ).action(doctor);
}
