// What a topology means once it is resolved: who lives where, who exchanges what. Neither the schema nor a parser comes along, whose
// modules take a tenth of a second to load: a worker is told its topology.
export {
  formatProblem,
  problemCodes,
  type Place,
  type ProblemCode,
  type TopologyProblem,
} from './problem.ts';
export * from './errors.ts';
export * from './resolved.ts';
export { isLocalHost, type DeviceBody, type ResolvedDevice, type ResolvedMachine } from './machines.ts';
export { buddyShift } from './buddies.ts';
export * from './mesh.ts';
export * from './default-home.ts';
export * from './exchange.ts';
export * from './placement.ts';
export { matchesAddress } from './placement-rules.ts';
export { refuseUnbuilt } from './unbuilt.ts';
export * from './schedule.ts';
