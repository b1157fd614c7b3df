export * from './calibration.ts';
export * from './data.ts';
export * from './job.ts';
export * from './run-result.ts';
export { startCluster, type Cluster } from './start-cluster.ts';
export type { ClusterOptions, ClusterPorts, LifePorts } from './cluster-options.ts';
export type { ExpertRule, GateQuestion, GateRule, TokenBatch, TokenSource } from '@troupe/actors';
export { fileStorage } from './ports/file-storage.ts';
export { systemClock } from './ports/clock.ts';
export { pinoLogger, type LogLevel } from './ports/logger.ts';
export { loadTopology, type ResolvedTopology } from '@troupe/topology';
export * from './launch/launch.ts';
export type { LaunchOptions } from './launch/launch-options.ts';
export {
  referenceOf,
  simulate,
  type Plant,
  type Simulation,
  type SimulationOptions,
  type SimulationProgress,
} from './simulate.ts';
export * from './errors.ts';
export * from './open-run.ts';
export * from './peak.ts';
export * from './profile/monotonic.ts';
export { partPaths, type ProfilePlan } from './profile/recorder.ts';
export * from './profile/write-profile.ts';
export * from './trained-model.ts';
export * from './simulation/divergence.ts';
export * from './simulation/simulator.ts';
export * from './simulation/state-trace.ts';
export { rooflineMs, shrink, type FailingCase } from '@troupe/sim';
export {
  loadDevice,
  tfjsExpert,
  type TfjsExpert,
  type TfjsExpertOptions,
  type Tensorflow,
} from '@troupe/kernels';
