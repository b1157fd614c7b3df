import { carryOut } from './command-line.ts';
import { leaveWithParent } from './fork-command.ts';
import { ignoreLostOutput } from './output.ts';

ignoreLostOutput();
leaveWithParent();
process.exitCode = await carryOut(process.argv.slice(2));
