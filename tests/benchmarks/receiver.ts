import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ReceiverReport } from './receiver-process.ts';

/** A receiver in a process of its own, so that its work is not ours. */
export interface Receiver {
  readonly origin: string;
  report(): Promise<ReceiverReport>;
  /** Waits until so many requests have come to the path, or no further one for `quietMs`. */
  waitFor(path: string, count: number, quietMs: number): Promise<number>;
  close(): void;
}

const POLL_MS = 50;

/** Starts the receiver. */
export async function startReceiver(): Promise<Receiver> {
  const child = fork(fileURLToPath(new URL('receiver-process.ts', import.meta.url)));
  const { port } = await nextMessage<{ port: number }>(child);

  async function report(): Promise<ReceiverReport> {
    child.send('report');
    return nextMessage<ReceiverReport>(child);
  }

  return {
    origin: `http://127.0.0.1:${port}`,
    report,
    async waitFor(path, count, quietMs) {
      let seen = -1;
      let changedAtMs = performance.now();
      for (;;) {
        const now = (await report()).counts[path] ?? 0;
        if (now >= count) return now;
        if (now !== seen) changedAtMs = performance.now();
        if (performance.now() - changedAtMs > quietMs) return now;
        seen = now;
        await sleep(POLL_MS);
      }
    },
    close: () => child.disconnect(),
  };
}

/** What our own receiver process sends. */
async function nextMessage<Message>(child: ChildProcess): Promise<Message> {
  const [message]: Message[] = await once(child, 'message');
  if (message === undefined) throw new Error('the receiver said nothing');
  return message;
}
