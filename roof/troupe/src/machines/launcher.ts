/** A program to start here, whose standard input and output reach an agent. */
export interface LauncherCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What starts an agent on a machine. */
export interface Launcher {
  readonly name: string;
  /**
   * @param machine - its index in the topology
   * @param host - its name there
   */
  command(machine: number, host: string): LauncherCommand;
}
