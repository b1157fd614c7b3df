/** What has come of a checkpoint, and how much of it is to come. */
export interface GatheredPieces {
  readonly numShards: number;
  /** Shards, or machines, that have said how many pieces they sent. */
  readonly sent: number;
  /** Pieces that these announced, and pieces that have come. */
  readonly announced: number;
  readonly received: number;
}

export const nothingCame = { sent: 0, announced: 0, received: 0 } as const;

/** Whether all have said how many pieces they sent, and these are here. */
export const isComplete = ({ numShards, sent, announced, received }: GatheredPieces): boolean =>
  sent === numShards && received === announced;
