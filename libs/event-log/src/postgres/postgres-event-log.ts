import { listen } from '@billhook/postgres';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';
import type { EventLogReader } from '../event-log.ts';
import { createAlarm } from '../alarm.ts';
import { readLanesText, toSlices } from './read-lanes.ts';
import type { EventLogRow } from './read-lanes.ts';

export interface PostgresEventLogOptions {
  /** The schema of the event store that is read. */
  readonly schema: string;
  /** For the connection that listens. */
  readonly connectionString: string;
  /** Reads happen at least so often, whether or not a notification came; 1 s by default. */
  readonly pollEveryMs?: number;
  /** What one read brings at most, give or take one event for each lane; 8 MiB by default. */
  readonly maxReadBytes?: number;
}

const DEFAULT_POLL_EVERY_MS = 1_000;
const DEFAULT_MAX_READ_BYTES = 8 * 1024 * 1024;

/**
 * Reads the event store's own tables, through the view that the store publishes for this. Events
 * of a lane become visible in the order of their positions, so a position is all that a reader
 * needs to keep.
 */
export async function openPostgresEventLog(
  deps: { readonly pool: Pool; readonly log: Log },
  options: PostgresEventLogOptions,
): Promise<EventLogReader> {
  const { schema, connectionString } = options;
  const pollEveryMs = options.pollEveryMs ?? DEFAULT_POLL_EVERY_MS;
  const maxReadBytes = options.maxReadBytes ?? DEFAULT_MAX_READ_BYTES;
  let closed = false;
  const appended = createAlarm();
  const listener = await listen({
    connectionString,
    channel: `${schema}_appended`,
    onNotify: () => appended.ring(),
    log: deps.log,
  });

  return {
    async read(requests, signal) {
      if (closed) throw new Error('The event log is closed.');
      signal.throwIfAborted();
      if (requests.length === 0) return [];
      const result = await unlessAborted(
        signal,
        deps.pool.query<EventLogRow>({
          name: `read_lanes_${schema}`,
          text: readLanesText(schema),
          values: [
            requests.map((request) => request.lane),
            requests.map((request) => request.after),
            requests.map((request) => request.limit),
            Math.ceil(maxReadBytes / requests.length),
          ],
        }),
      );
      return toSlices(requests, result.rows);
    },
    async waitForMore(signal, timeoutMs) {
      if (!closed) await appended.wait(signal, Math.min(timeoutMs, pollEveryMs));
    },
    async close() {
      closed = true;
      appended.ring();
      await listener.close();
    },
  };
}

/** Stops waiting for a result when the signal aborts; the query itself ends on its own. */
async function unlessAborted<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
