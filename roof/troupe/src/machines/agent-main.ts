import { runAgent } from './agent-process.ts';

// What a launcher starts where the command line is not needed.
void runAgent();
