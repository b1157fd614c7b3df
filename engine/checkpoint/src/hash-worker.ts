import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

export type HashRequest =
  | { readonly kind: 'update'; readonly streams: readonly number[]; readonly buffer: ArrayBuffer }
  | { readonly kind: 'digest'; readonly stream: number };

export type HashAnswer =
  | { readonly kind: 'updated'; readonly buffer: ArrayBuffer }
  | { readonly kind: 'digested'; readonly sha256: string };

/** The thread behind `workerHasher`: one answer to each request, in order; buffers go back where they came from. */
const hashes = new Map<number, Hash>();

function hashOf(stream: number): Hash {
  let hash = hashes.get(stream);
  if (hash === undefined) {
    hash = createHash('sha256');
    hashes.set(stream, hash);
  }
  return hash;
}

function answer(message: HashAnswer, transfer: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

parentPort?.on('message', (request: HashRequest) => {
  if (request.kind === 'update') {
    const bytes = new Uint8Array(request.buffer);
    for (const stream of request.streams) hashOf(stream).update(bytes);
    answer({ kind: 'updated', buffer: request.buffer }, [request.buffer]);
    return;
  }
  const sha256 = hashOf(request.stream).digest('hex');
  hashes.delete(request.stream);
  answer({ kind: 'digested', sha256 });
});
