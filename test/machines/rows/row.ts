import { Lab, type LabOptions } from '../lab/lab.ts';

/** Something that has to hold between machines, on a lab of its own. */
export interface Row {
  readonly name: string;
  readonly lab: LabOptions;
  /** Programs that it needs beside those of a lab, by the Debian package that brings them. */
  readonly needs?: Readonly<Record<string, string>>;
  /** Throws when it does not hold; gives what was measured. */
  readonly play: (lab: Lab) => Promise<string>;
}

/** Plays a row, and leaves nothing. */
export async function playRow({ lab: options, play }: Row): Promise<string> {
  const lab = await Lab.open(options);
  try {
    return await play(lab);
  } finally {
    await lab.close();
  }
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
export const milliseconds = (ms: number): string => `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;

/** The one wait of a row that nothing ends earlier: how long a link stays cut. */
export const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
