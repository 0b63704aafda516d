/** Tells any number of listeners that something was appended. */
export interface Bell {
  ring(): void;
  /** How often it has rung: to be read before looking, so that no ring is missed. */
  rings(): number;
  /** Ends when it has rung more often, after `timeoutMs`, or when the signal aborts. */
  wait(rings: number, timeoutMs: number, signal: AbortSignal): Promise<void>;
}

/** Makes a bell that has not rung. */
export function createBell(): Bell {
  const waiting = new Set<() => void>();
  let rings = 0;
  return {
    ring() {
      rings += 1;
      for (const wake of waiting) {
        wake();
      }
    },
    rings: () => rings,
    async wait(seen, timeoutMs, signal) {
      if (rings > seen || signal.aborted) {
        return;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      const timer = setTimeout(wake, timeoutMs);
      signal.addEventListener('abort', wake, { once: true });
      waiting.add(wake);
      await promise;
      waiting.delete(wake);
      signal.removeEventListener('abort', wake);
      clearTimeout(timer);
    },
  };
}
