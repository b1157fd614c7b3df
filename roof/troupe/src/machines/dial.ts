// What the command line takes to begin a run whose machines something else has started.
export { runDialedAgent } from './dialed-agent.ts';
export { parseLeadAddress, type LeadAddress } from './lead-address.ts';
export { rankFromEnvironment, type MachinePlace } from './rank-from-environment.ts';
export { Rendezvous } from './rendezvous.ts';
export { makeRunKey, newRunKey, takeRunKey, type RunKey } from './run-key.ts';
