/**
 * What the encoder reads beside a batch, rows of its own length: a window holds several segments, one after the other, then padding.
 *
 * Position of a row inside its segment: row - first seen one.
 */
export interface SourceBatch {
  readonly ids_T: Int32Array;
  /** Range of positions in the window that a row of the encoder sees: its own segment; padding sees itself. */
  readonly firstSeen_T: Int32Array;
  readonly endSeen_T: Int32Array;
  /** 1 for a token, 0 for padding. */
  readonly valid_T: Uint8Array;
  /** Range of positions of the encoder's window that a row of the decoder sees, one each of those; padding sees none. */
  readonly crossFirst_T: Int32Array;
  readonly crossEnd_T: Int32Array;
}

/** Sequences side by side, as the kernels take them: row s·seqLen + p is position p of sequence s. */
export interface Batch {
  readonly sequences: number;
  readonly ids_T: Int32Array;
  /** The next token; -1 where none counts: padding, and what is only read. */
  readonly targets_T: Int32Array;
  /** Position in the sequence (0-based) of the first one that a row may attend to: its document's start. */
  readonly firstSeen_T: Int32Array;
  /** 1 for a real token, 0 for padding, which no router counts as load. */
  readonly valid_T: Uint8Array;
  /** What an encoder reads; absent for models without one. */
  readonly source?: SourceBatch;
}

/** Held-out sequences of one kind, so that a loss can be told by kind. */
export interface EvaluationPart {
  /** The task's name. */
  readonly task: string;
  /** `en-de` of a translation, else the language of the text. */
  readonly language: string;
  /** Ascending. */
  readonly sequences: readonly number[];
  /** Targets in all of them together. */
  readonly numTargets: number;
}

/**
 * Where a feeder gets its sequences. No state: the same (step, sequence) always gives the same answer.
 */
export interface BatchSource {
  readonly vocabSize: number;
  readonly seqLen: number;
  /** Sequences of a global batch. */
  readonly batch: number;
  /** Sequences in an epoch. */
  readonly numTrainWindows: number;
  /** Sequences of the held-out split, the last one padded; 0 without a held-out split. */
  readonly numEvalSequences: number;
  /** Targets in all evaluation sequences together. */
  readonly numEvalTargets: number;
  /** Sequences firstSequence … firstSequence+count-1 of a step's global batch; sequence i is a pure function of (seed, step, i). */
  trainBatch(step: number, firstSequence: number, count: number): Batch;
  /** Held-out sequences in order; those past the end are all padding, so that any count divides. */
  evalBatch(firstSequence: number, count: number): Batch;
  /** Targets in the global batch of a step: what the loss is divided by. `batch`, if given, must be the source's own. */
  validTargets(step: number, batch?: number): number;
  /** Which held-out sequences are of which task and language; absent where all are of one kind. */
  readonly evaluationParts?: readonly EvaluationPart[];
}

/** A batch of padding, to be filled sequence by sequence. */
export function emptyBatch(sequences: number, seqLen: number, padId: number): Batch {
  const numTokens = sequences * seqLen;
  const firstSeen_T = new Int32Array(numTokens);
  // A padded row sees only itself: cheap, and never an empty softmax.
  for (let i = 0; i < numTokens; i++) firstSeen_T[i] = i % seqLen;
  return {
    sequences,
    ids_T: new Int32Array(numTokens).fill(padId),
    targets_T: new Int32Array(numTokens).fill(-1),
    firstSeen_T,
    valid_T: new Uint8Array(numTokens),
  };
}
