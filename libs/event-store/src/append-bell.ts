import { randomUUID } from 'node:crypto';

/** Tells readers of a store that something was appended to it, within the process that appends. */
export interface AppendBell {
  /** What Postgres tells others of an append holds it: who hears the bell knows of that append already. */
  readonly id: string;
  /** Whether all who append and read hear it, so that Postgres need not tell anybody. */
  readonly reachesAll: boolean;
  ring(): void;
  /** Has the listener called at each ring. Returns what ends that. */
  listen(onRing: () => void): () => void;
}

/** Makes a bell to which nobody listens. */
export function createAppendBell(options: { readonly reachesAll: boolean }): AppendBell {
  const listeners = new Set<() => void>();
  return {
    ...options,
    id: randomUUID(),
    ring() {
      for (const onRing of listeners) onRing();
    },
    listen(onRing) {
      // The same function may listen twice.
      const listener = () => onRing();
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
