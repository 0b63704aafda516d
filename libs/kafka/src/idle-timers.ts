import { createRequire } from 'node:module';

/** What is used of KafkaJS's `RequestQueue`, which its types do not show. */
interface RequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  scheduleCheckPendingRequests(): void;
}

const QUEUE_MODULE = 'kafkajs/src/network/requestQueue';

let isDone = false;

/**
 * Ends the timers of connections that have nothing to send. With Node 24 or newer each connection of
 * KafkaJS 2.2.4 otherwise runs a timer of 1 ms for ever, since it computes a negative delay.
 */
export function stopIdleTimers(): void {
  if (isDone) return;
  isDone = true;
  // oxlint-disable-next-line no-unsafe-type-assertion -- a file of the pinned version.
  const { prototype } = createRequire(import.meta.url)(QUEUE_MODULE) as {
    readonly prototype: RequestQueue;
  };
  // oxlint-disable-next-line typescript/unbound-method -- it is called on each queue below.
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this);
  };
}
