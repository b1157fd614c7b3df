export {
  formatProblem,
  problemCodes,
  type Place,
  type ProblemCode,
  type TopologyProblem,
} from './problem.ts';
export * from './errors.ts';
export { jsonSchema, type SchemaNode } from './json-schema.ts';
export { TOPOLOGY_VERSION, type TopologyInput } from './schema.ts';
export type { FilledTopology } from './fill.ts';
export * from './resolved.ts';
export { resolveTopology } from './resolve.ts';
export { formatTopology } from './document.ts';
export { nearestName } from './nearest.ts';
export * from './load.ts';
export { presetNames, presetPath, readTopologyFile } from './read.ts';
export { isLocalHost, type DeviceBody, type ResolvedDevice, type ResolvedMachine } from './machines.ts';
export { buddyShift } from './buddies.ts';
export * from './mesh.ts';
export * from './default-home.ts';
export * from './exchange.ts';
export * from './placement.ts';
export { matchesAddress } from './placement-rules.ts';
export * from './trajectory.ts';
export { refuseUnbuilt } from './unbuilt.ts';
export * from './schedule.ts';
export * from './plan.ts';
export { stageParameters, type DeviceMemory, type StageParameters } from './plan-memory.ts';
export type { Link, TrafficBytes } from './plan-traffic.ts';
export * from './plan-diff.ts';
export * from './plan-format.ts';
