import type { subscriptionV1 } from '@billhook/contracts';
import type { Log } from '@billhook/runtime';
import { backOff } from './backoff.ts';
import { createRevisionWaiters } from './revision-waiters.ts';
import type { SubscriptionView, ViewChanges } from './view.ts';

/** Where the set of endpoints comes from. */
export interface SubscriptionSource {
  /** Opens a stream: a snapshot or what follows the revision, then changes as they come. */
  watch(
    request: subscriptionV1.WatchRequest,
    signal: AbortSignal,
  ): AsyncIterable<subscriptionV1.WatchResponse>;
  /** Reads the revision on the primary; rejects when no copy answers in time. */
  currentRevision(): Promise<number>;
}

/** A view that a stream keeps up to date. */
export interface SubscriptionWatch {
  /** A number that grows with every stream that is opened and every message that comes. */
  activity(): number;
  /** Resolves true once the view is at the revision or beyond, false after `timeoutMs`. */
  reaches(revision: number, timeoutMs: number, signal: AbortSignal): Promise<boolean>;
  /** Opens the stream anew at once, at another copy of the service if there is one. */
  reopen(): void;
  close(): Promise<void>;
}

/** What lies between two attempts to watch. */
const WATCH_BACKOFF = { firstMs: 50, longestMs: 5_000 };

/**
 * Starts to watch, and goes on until it is closed. After a break the stream resumes where the view
 * stands; after a message that made no sense it starts from a snapshot.
 *
 * @param onChanged is told what each message changed, once the view shows it; it must not throw.
 */
export function startWatch(
  deps: { readonly source: SubscriptionSource; readonly view: SubscriptionView; readonly log: Log },
  onChanged: (changes: ViewChanges) => void,
): SubscriptionWatch {
  const { source, view, log } = deps;
  const closed = new AbortController();
  const waiters = createRevisionWaiters();
  let stream = new AbortController();
  let activity = 0;
  let resumable = true;
  let format = 0;
  let failures = 0;

  function take(message: subscriptionV1.WatchResponse): void {
    activity += 1;
    resumable = false;
    const changes = view.receive(message);
    format = message.format;
    failures = 0;
    if (changes === undefined) return;
    resumable = true;
    onChanged(changes);
    waiters.reached(view.revision());
  }

  async function follow(signal: AbortSignal): Promise<void> {
    activity += 1;
    view.beginStream();
    const request = {
      revision: resumable ? BigInt(view.revision()) : 0n,
      eventId: resumable ? view.eventId() : '',
      format,
    };
    for await (const message of source.watch(request, signal)) {
      if (signal.aborted) return;
      take(message);
    }
  }

  async function followUntilClosed(): Promise<void> {
    while (!closed.signal.aborted) {
      stream = new AbortController();
      const { signal } = stream;
      try {
        await follow(signal);
      } catch (error) {
        if (signal.aborted) continue;
        failures += 1;
        if (failures === 1) log.warn({ err: error }, 'the watch of the subscriptions broke');
      }
      await backOff(WATCH_BACKOFF, failures, signal);
    }
  }

  const following = followUntilClosed();
  return {
    activity: () => activity,
    async reaches(revision, timeoutMs, signal) {
      return view.revision() >= revision || (await waiters.wait(revision, timeoutMs, signal));
    },
    reopen: () => stream.abort(),
    async close() {
      closed.abort();
      stream.abort();
      await following;
    },
  };
}
