/** One unit of text that is never attended across: a gloss, a paragraph, a line of JSONL. */
export interface Document {
  /** Stable name for messages, e.g. `n00001740` or `notes.txt#12`. Never decides anything. */
  readonly id: string;
  readonly text: string;
}

/** Where documents come from; read from the start each time it is iterated. */
export type Documents = Iterable<Document> | AsyncIterable<Document>;

/** Documents of a program's own: any iterable of strings, in its order. */
export async function* stringDocuments(
  texts: Iterable<string> | AsyncIterable<string>,
): AsyncGenerator<Document> {
  let index = 0;
  for await (const text of texts) yield { id: `#${index++}`, text };
}
