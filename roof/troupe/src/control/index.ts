// What operates a run from another process: asked while it runs, read from its folder when it does not.
export { BoundedLog, boundLog, CONSOLE, logNameOf, LOGS } from './bounded-log.ts';
export { ControlClient } from './control-client.ts';
export { findControl, type ControlPlace, type FoundControl } from './control-file.ts';
export { ControlServer } from './control-server.ts';
export { RunLogs, type LogLine } from './merged-logs.ts';
export { mustHoldRun, readRunAtRest, type RunAtRest } from './run-at-rest.ts';
export { RunBoard } from './run-board.ts';
export type { RunStatus } from './run-status.ts';
export type { RelayoutRequest } from './request.ts';
export { askWords, type RelayoutAsk } from '../relayout/relayout-ask.ts';
export type { RelayoutRecord } from '../relayout/relayout.ts';
export type { RelayoutDiff } from '../relayout/relayout-diff.ts';
export { isRunning, type ProcessIdentity } from '../ports/process-identity.ts';
export { writerOf } from '../ports/writer-lock.ts';
