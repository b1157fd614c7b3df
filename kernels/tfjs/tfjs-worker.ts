/** The worker thread of a {@link openTfjsDevice}: opens a backend, then runs lists as they come. */
import { parentPort, workerData } from 'node:worker_threads';
import { openBackend } from './backend.ts';
import { KernelRunner } from './kernel-runner.ts';
import type { FromWorker, ToWorker, WorkerOptions } from './messages.ts';

const port = parentPort;
if (port === null) throw new TypeError('tfjs-worker runs in a worker thread only');
const send = (message: FromWorker): void => port.postMessage(message);

try {
  const { tensors, ...opened } = await openBackend(workerData as WorkerOptions);
  const runner = new KernelRunner(tensors);
  const complete = (message: Extract<ToWorker, { kind: 'list.run' }>): void => {
    const { error, kernelMs } = runner.run(message.calls);
    const plain = error && { code: error.code, message: error.message, details: error.details };
    send({ kind: 'list.completed', error: plain, kernelMs });
  };
  const receive = async (message: ToWorker): Promise<void> => {
    switch (message.kind) {
      case 'list.run':
        await runner.prepare(message.calls);
        complete(message);
        break;
      case 'list.refuse': {
        const error = { code: 'TROUPE_KERNEL_SHAPE', message: message.message, details: {} };
        send({ kind: 'list.completed', error, kernelMs: 0 });
        break;
      }
      case 'thread.end':
        port.close();
        break;
    }
  };
  // Loading a layer takes turns of the event loop, and lists keep their order.
  let last = Promise.resolve();
  port.on('message', (message: ToWorker) => {
    last = last.then(() => receive(message));
    last.catch((error: unknown) => {
      throw error;
    });
  });
  send({ kind: 'backend.opened', ...opened });
} catch (error) {
  send({ kind: 'backend.failed', reason: error instanceof Error ? error.message : String(error) });
}
