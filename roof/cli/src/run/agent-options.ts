import type { LogLevel } from 'troupe/launch';
import type { CommonOptions } from '../verb.ts';

/** What `troupe agent` is given. */
export interface AgentOptions extends CommonOptions {
  readonly machine?: number;
  readonly of?: number;
  readonly lead?: string;
  readonly set: readonly string[];
  readonly runDir?: string;
  readonly stopAfter?: number;
  readonly grace: number;
  readonly quiet?: boolean;
  readonly logLevel: LogLevel;
}

/** How the machines of a run are reached whose agents dial, whatever its file says. */
export const dialSetting = 'launcher={kind: dial}';
