import { randomUUID } from 'node:crypto';

import type { StoredEvent } from './event-store.ts';

/** What an append added; `unknown` when its commit was not answered: it may have added anything. */
export type Appended = readonly StoredEvent[] | 'unknown';

/** Tells readers of a store what was appended to it, within the process that appends. */
export interface AppendBell {
  /** What Postgres tells others of an append holds it: who hears the bell knows of that append already. */
  readonly id: string;
  /** Whether all who append and read hear it, so that Postgres need not tell anybody. */
  readonly reachesAll: boolean;
  ring(appended: Appended): void;
  /** Has the listener called at each ring. Returns what ends that. */
  listen(onRing: (appended: Appended) => void): () => void;
}

/** Makes a bell to which nobody listens. */
export function createAppendBell(options: { readonly reachesAll: boolean }): AppendBell {
  const listeners = new Set<(appended: Appended) => void>();
  return {
    ...options,
    id: randomUUID(),
    ring(appended) {
      for (const onRing of listeners) onRing(appended);
    },
    listen(onRing) {
      // The same function may listen twice.
      const listener = (appended: Appended) => onRing(appended);
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
