// What a process that runs needs of a topology that is resolved. Neither the schema nor a parser comes along, whose modules take a tenth of a
// second to load: a worker is told its topology.
export {
  formatProblem,
  problemCodes,
  type Place,
  type ProblemCode,
  type TopologyProblem,
} from './problem.ts';
export * from './errors.ts';
export * from './resolved.ts';
export type { DeviceBody, ResolvedDevice, ResolvedMachine } from './machines.ts';
export * from './layout/index.ts';
export * from './default-home.ts';
export * from './placement.ts';
export { numbersFingerprint } from './fingerprint.ts';
export { portsOf } from './ports.ts';
export { matchesAddress } from './placement-rules.ts';
export { refuseUnbuilt } from './unbuilt.ts';
export * from './schedule.ts';
