// What the command line takes to launch a run. The simulator and embedding stay out: forty modules whose loading a start would wait for.
export { surviveClosedTerminal } from './closed-terminal.ts';
export * from './launch.ts';
export type { LaunchOptions } from './launch-options.ts';
export { askedRelayout } from '../relayout/asked-relayout.ts';
export { diffRelayout } from '../relayout/relayout-diff.ts';
export { layoutWords } from '../relayout/relayout.ts';
export type { Launcher } from '../machines/launcher.ts';
export {
  isSshHost,
  sameCommand,
  sshArguments,
  sshLauncher,
  type SshSettings,
} from '../machines/ssh-launcher.ts';
export { lockRun, openCheckpointAt, openRun, runOfPath, withAbsolutePaths } from '../open-run.ts';
export { exitCodeOf, exitCodes, type RunResult } from '../run-result.ts';
export { fileStorage } from '../ports/file-storage.ts';
export { makeFolders, removeEmptyFolders } from '../ports/make-folders.ts';
export { Pace } from '../pace.ts';
export { systemClock } from '../ports/clock.ts';
export type { LogLevel } from '../ports/logger.ts';
export { measuredBandwidth, measuredPeakFlops } from '../peak.ts';
export { monotonicMs } from '../profile/monotonic.ts';
export { partPaths, type ProfilePlan } from '../profile/recorder.ts';
export { writeProfile } from '../profile/write-profile.ts';
export { slurmBatchScript, type SlurmJob } from '../machines/slurm-batch-script.ts';
export { nodesOfMachines, slurmAllocation, slurmLauncher } from '../machines/slurm-launcher.ts';
export { slurmNodes } from '../machines/slurm-node-list.ts';
export {
  keySecret,
  kubernetesManifest,
  kubernetesName,
  type KubernetesRun,
} from '../machines/kubernetes-manifest.ts';
export { runsFolder } from '../machines/kubernetes-pod.ts';
