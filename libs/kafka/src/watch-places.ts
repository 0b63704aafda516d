import { setTimeout as sleep } from 'node:timers/promises';
import type { EndsReader } from './ends-reader.ts';
import type { Places } from './places.ts';

/** So many rounds a session may take to join its group. */
const MAX_ROUNDS_TO_JOIN = 6;

/**
 * Compares with the broker now and then. KafkaJS itself says nothing of a partition that stands still, nor
 * of one that ends before the offset that it asks for: it begins at its beginning, which may be empty.
 */
export async function watchPlaces(
  deps: {
    readonly places: Places;
    readonly ends: EndsReader;
    readonly everyMs: number;
    readonly signal: AbortSignal;
    /** How often a session has joined its group; undefined while none has. */
    readonly joins: () => number | undefined;
  },
  events: {
    /** A partition stood still for a whole round though there was more to read. */
    readonly onStuck: (partition: number) => void;
    /** A partition ends before what was read of it. */
    readonly onShorter: () => void;
  },
): Promise<void> {
  const { places, ends, everyMs, signal, joins } = deps;
  /** By partition: where it stood though there was more. */
  let behind = new Map<number, number>();
  let joinsBefore = joins();
  let unjoined = 0;
  for (;;) {
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const before = places.current();
    const stuck = before.find(([partition, next]) => behind.get(partition) === next);
    // A session that has joined meanwhile has a round of its own, and until then a few of them.
    const isOverdue =
      joins() === joinsBefore && (joinsBefore !== undefined || unjoined >= MAX_ROUNDS_TO_JOIN);
    if (stuck !== undefined && isOverdue) events.onStuck(stuck[0]);
    unjoined = joins() === undefined && !isOverdue ? unjoined + 1 : 0;
    behind = new Map();
    joinsBefore = joins();
    if (before.length === 0) continue;
    const seen = await ends.read().catch(() => undefined);
    if (signal.aborted || seen === undefined) continue;
    const isShorter = before.some(([partition, next]) => {
      const isThere = places.next(partition) === next;
      return isThere && (seen[partition]?.high ?? next) < next;
    });
    if (isShorter) events.onShorter();
    for (const [partition, next] of places.current()) {
      if ((seen[partition]?.high ?? 0) > next) behind.set(partition, next);
    }
  }
}
