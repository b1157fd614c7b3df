export * from './calibration.ts';
export * from './data.ts';
export * from './evaluate-on-workers.ts';
export * from './generate-on-workers.ts';
export * from './job.ts';
export * from './run-data.ts';
export * from './run-result.ts';
export { startCluster, type Cluster } from './start-cluster.ts';
export * from './service/connect-experts.ts';
export * from './service/serve-experts.ts';
export type { ServiceEndpoints } from './service/service-system.ts';
export type { CurveKeys, Listen, Place } from '@troupe/transport';
export type { ActorView } from './actor-view.ts';
export type { ClusterOptions } from './cluster-options.ts';
export type { ExpertRule, GateQuestion, GateRule, TokenBatch, TokenSource } from '@troupe/actors';
export { fileStorage } from './ports/file-storage.ts';
export { systemClock } from './ports/clock.ts';
export { descriptorLimit } from './ports/descriptor-limit.ts';
export { pinoLogger, type LogLevel } from './ports/logger.ts';
export { loadTopology, type ResolvedTopology } from '@troupe/topology';
export * from './launch/launch.ts';
export { machineMemory, mustFit, type MachineMemory } from './machine-memory.ts';
export type { LaunchOptions } from './launch/launch-options.ts';
export type { MetricsChoice } from './run/run-metrics.ts';
export { referenceOf, simulate } from './simulate.ts';
export type { Simulation } from './simulation/simulation.ts';
export type { Plant, SimulationOptions, SimulationProgress } from './simulation/simulation-options.ts';
export * from './errors.ts';
export * from './hugging-face/export-model.ts';
export * from './hugging-face/import-model.ts';
export type { FirstState } from './first-state.ts';
export * from './open-run.ts';
export * from './peak.ts';
export * from './recombine/merge.ts';
export * from './recombine/prune.ts';
export type { Likeness } from './recombine/likeness.ts';
export * from './profile/monotonic.ts';
export { partPaths, type ProfilePlan } from './profile/recorder.ts';
export * from './profile/write-profile.ts';
export type { PartLoss } from './part-losses.ts';
export * from './trained-model.ts';
export * from './translation/directions.ts';
export * from './translation/held-out-pairs.ts';
export * from './translation/translate.ts';
export * from './simulation/divergence.ts';
export * from './simulation/recorded-load.ts';
export * from './simulation/simulator.ts';
export * from './simulation/state-trace.ts';
export { rooflineMs, shrink, type FailingCase } from '@troupe/sim';
export {
  loadDevice,
  openReferenceDevice,
  tfjsExpert,
  type TfjsExpert,
  type TfjsExpertOptions,
  type LayerTensor,
  type Tensorflow,
} from '@troupe/kernels';

// What embedding programs need of the packages below: this is the one name that they install.
export {
  InvariantError,
  NotBuiltError,
  OptionError,
  prng,
  serializeError,
  silentLogger,
  TroupeError,
  UserCodeError,
  type Address,
  type Clock,
  type ErrorDetails,
  type HostFloats,
  type Logger,
  type NodeId,
  type PendingFile,
  type Storage,
  type HostArray,
  type Transport,
} from '@troupe/core';
export { MemoryStorage, memoryStorage } from '@troupe/sim';
export type {
  Completion,
  Device,
  DeviceArray,
  DeviceInfo,
  ExpertsBackwardCall,
  ExpertsForwardCall,
  Floats,
  Ints,
  KernelCall,
  Precision,
  SyncDevice,
} from '@troupe/kernel-set';
export type { Fault } from '@troupe/sim/faults';
export {
  checkpointFolders,
  configFromHuggingFace,
  configToHuggingFace,
  latestCheckpoint,
  openCheckpoint,
  openSafetensors,
  readHuggingFace,
  SafetensorsWriter,
  writeHuggingFace,
  type CheckpointReader,
  type Hasher,
  type HuggingFaceExportOptions,
  type HuggingFaceKind,
  type HuggingFaceModel,
  type Manifest,
  type SafetensorsFile,
} from '@troupe/checkpoint';
export {
  bytesTokenizer,
  loadTokenizer,
  openDataSource,
  readTokenizer,
  trainBpe,
  type BatchSource,
  type DataSource,
  type Tokenizer,
} from '@troupe/data';
export type { ActorStatus, Turn } from '@troupe/runtime';
export { parameterCounts, type ExpertParameter, type ModelConfig } from '@troupe/spec';
export type { EvalEvent, RunEvent, RunSink, StepEvent } from '@troupe/telemetry';
export {
  commentedTopology,
  formatTopology,
  presetNames,
  resolveTopology,
  TopologyError,
  type TopologyInput,
} from '@troupe/topology';
