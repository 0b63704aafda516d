/** Those who wait until the view has reached a revision. */
export interface RevisionWaiters {
  /** Resolves true when the revision is reached, false after `timeoutMs`; rejects on abort. */
  wait(revision: number, timeoutMs: number, signal: AbortSignal): Promise<boolean>;
  /** Says which revision the view has reached. */
  reached(revision: number): void;
}

interface Waiter {
  readonly revision: number;
  end(reached: boolean): void;
}

/** Makes a room in which nobody waits. */
export function createRevisionWaiters(): RevisionWaiters {
  const waiters = new Set<Waiter>();
  return {
    async wait(revision, timeoutMs, signal) {
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      const waiter: Waiter = { revision, end: resolve };
      const timer = setTimeout(resolve, timeoutMs, false);
      const onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      waiters.add(waiter);
      try {
        return await promise;
      } finally {
        waiters.delete(waiter);
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      }
    },
    reached(revision) {
      for (const waiter of waiters) {
        if (waiter.revision <= revision) waiter.end(true);
      }
    },
  };
}
