import type { AppendBell, Appended } from '@billhook/event-store';
import { listen } from '@billhook/postgres';
import type { Pool } from '@billhook/postgres';
import { unlessAborted, type Log } from '@billhook/runtime';
import type { EventLogReader, LaneRequest, LaneSlice } from '../event-log.ts';
import { createAlarm } from '../alarm.ts';
import { LaneTails } from './lane-tails.ts';
import { readLanesText, toSlices } from './read-lanes.ts';
import type { EventLogRow } from './read-lanes.ts';

export interface PostgresEventLogOptions {
  /** The schema of the event store that is read. */
  readonly schema: string;
  /** For the connection that listens, unless the bell reaches all. */
  readonly connectionString: string;
  /** Rung when this process appends: sooner than Postgres tells. */
  readonly bell?: AppendBell | undefined;
  /**
   * Whether it follows the lanes. Then it keeps what the bell brings, if that reaches all, and reads from
   * the store only what came before. False by default.
   */
  readonly follows?: boolean;
  /** Reads happen at least so often, whether or not a notification came; 1 s by default. */
  readonly pollEveryMs?: number;
  /** What one read brings at most, give or take one event for each lane; 8 MiB by default. */
  readonly maxReadBytes?: number;
}

const DEFAULT_POLL_EVERY_MS = 1_000;
const DEFAULT_MAX_READ_BYTES = 8 * 1024 * 1024;
/** What is kept of what the bell brings. */
const MAX_TAIL_BYTES = 8 * 1024 * 1024;

/**
 * Reads the event store's own tables, through the view that the store publishes for this. Events
 * of a lane become visible in the order of their positions, so a position is all that a reader
 * needs to keep.
 */
export async function openPostgresEventLog(
  deps: { readonly pool: Pool; readonly log: Log },
  options: PostgresEventLogOptions,
): Promise<EventLogReader> {
  const { schema, bell, follows = false } = options;
  const pollEveryMs = options.pollEveryMs ?? DEFAULT_POLL_EVERY_MS;
  const maxReadBytes = options.maxReadBytes ?? DEFAULT_MAX_READ_BYTES;
  let closed = false;
  const appended = createAlarm();
  const tailLimits = { maxBytes: MAX_TAIL_BYTES, maxAgeMs: pollEveryMs };
  const tails = follows && bell?.reachesAll ? new LaneTails(tailLimits) : undefined;
  const stopListening = await hearAppends(deps, options, (added) => {
    tails?.append(added);
    appended.ring();
  });

  async function readStore(
    requests: readonly LaneRequest[],
    laneBytes: number,
    signal: AbortSignal,
  ): Promise<LaneSlice[]> {
    if (requests.length === 0) return [];
    const askedAtMs = performance.now();
    const result = await unlessAborted(
      deps.pool.query<EventLogRow>({
        name: `read_lanes_${schema}`,
        text: readLanesText(schema),
        values: [
          requests.map((request) => request.lane),
          requests.map((request) => request.after),
          requests.map((request) => request.limit),
          laneBytes,
        ],
      }),
      signal,
    );
    const slices = toSlices(requests, result.rows);
    for (const [index, slice] of slices.entries()) {
      const isCut = slice.events.length >= (requests[index]?.limit ?? 0);
      if (!isCut && bytesOf(slice) < laneBytes) tails?.reachedEnd(slice, askedAtMs);
    }
    return slices;
  }

  return {
    async read(requests, signal) {
      if (closed) throw new Error('The event log is closed.');
      signal.throwIfAborted();
      if (requests.length === 0) return [];
      const laneBytes = Math.ceil(maxReadBytes / requests.length);
      const bounds = { maxBytes: laneBytes, nowMs: performance.now() };
      const known = requests.map((request) => tails?.read(request, bounds));
      const unknown = requests.filter((_, index) => known[index] === undefined);
      const read = (await readStore(unknown, laneBytes, signal)).values();
      const slices = known.flatMap((slice) => slice ?? read.next().value ?? []);
      // What was left out for its size is there, though nobody appends any more.
      if (slices.some((slice) => bytesOf(slice) >= laneBytes)) appended.ring();
      return slices;
    },
    async waitForMore(signal, timeoutMs) {
      if (!closed) await appended.wait(signal, Math.min(timeoutMs, pollEveryMs));
    },
    async close() {
      closed = true;
      appended.ring();
      await stopListening();
    },
  };
}

/** Calls the listener when something may have been appended. Returns what ends that. */
async function hearAppends(
  { log }: { readonly log: Log },
  { schema, connectionString, bell }: PostgresEventLogOptions,
  onAppend: (appended: Appended) => void,
): Promise<() => Promise<void>> {
  const onNotify = (payload?: string) => {
    if (bell === undefined || payload !== bell.id) onAppend('unknown');
  };
  const channel = `${schema}_appended`;
  const listener = bell?.reachesAll
    ? undefined
    : await listen({ connectionString, channel, onNotify, log });
  const stopListening = bell?.listen(onAppend);
  return async () => {
    stopListening?.();
    await listener?.close();
  };
}

function bytesOf({ events }: LaneSlice): number {
  return events.reduce((bytes, { data }) => bytes + data.length, 0);
}
