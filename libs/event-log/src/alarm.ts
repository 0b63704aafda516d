/** Wakes one who waits; a ring that nobody waits for is kept for the next wait. */
export interface Alarm {
  ring(): void;
  /** Ends at the next ring, after `timeoutMs`, or when the signal aborts, whichever is first. */
  wait(signal: AbortSignal, timeoutMs: number): Promise<void>;
}

/** Makes an alarm that has not rung. */
export function createAlarm(): Alarm {
  let rung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      rung = true;
      wake?.();
    },
    async wait(signal, timeoutMs) {
      if (!rung && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, timeoutMs);
        const onAbort = () => resolve();
        signal.addEventListener('abort', onAbort, { once: true });
        wake = resolve;
        await promise;
        wake = undefined;
        signal.removeEventListener('abort', onAbort);
        clearTimeout(timer);
      }
      rung = false;
    },
  };
}
