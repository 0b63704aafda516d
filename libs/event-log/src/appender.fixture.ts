import { createEventStore, eventStoreMigrations, prepareEventStore } from '@billhook/event-store';
import type { Aggregate, AppendBell, EventStore, Stream } from '@billhook/event-store';
import { createPool, migrate } from '@billhook/postgres';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

const requestIdRetentionMs = 60_000;

/** Appends one event for each payload. */
interface Append extends Stream {
  readonly payloads: readonly Buffer[];
}

/** Appends to an event store like a process of its own. */
export interface Appender {
  append(stream: Stream, payloads: readonly Buffer[]): Promise<void>;
  stop(): Promise<void>;
}

/** Makes the store that appenders append to. */
export async function makeStore(
  pool: Pool,
  options: { readonly schema: string; readonly lanes: number },
): Promise<void> {
  const { schema, lanes } = options;
  await migrate(pool, { schema, migrations: eventStoreMigrations(schema) });
  const prepared = await prepareEventStore(pool, { schema, lanes, requestIdRetentionMs });
  await prepared.stop();
}

/** Starts an appender with a store and connections of its own, which rings the bell if it is given one. */
export function startAppender(
  deps: {
    readonly connectionString: string;
    readonly log: Log;
    readonly bell?: AppendBell | undefined;
  },
  options: { readonly schema: string; readonly lanes: number },
): Appender {
  const pool = createPool({ ...deps, applicationName: 'appender', maxConnections: 2 });
  const store: EventStore<Append, number> = createEventStore(
    { pool, log: deps.log, aggregate: streamOfNotes(options.schema), bell: deps.bell },
    { ...options, requestIdRetentionMs },
  );
  return {
    async append(stream, payloads) {
      const bytes = payloads.reduce((sum, payload) => sum + payload.length, 0);
      const traceparent = TRACEPARENT;
      await store.execute({ command: { ...stream, payloads }, bytes, traceparent });
    },
    async stop() {
      await store.stop();
      await pool.end();
    },
  };
}

export const NOTE_TYPE = 'note_added';
export const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Streams that take every note; all that is known of them is their version. */
function streamOfNotes(schema: string): Aggregate<Append, Map<string, number>, number> {
  return {
    async load(client, commands) {
      const result = await client.query<{ key: string; version: bigint }>(
        `select tenant || '/' || stream_id as key, max(version) as version from ${schema}.event
         where (tenant, stream_id) in (select * from unnest($1::text[], $2::text[])) group by 1`,
        [commands.map(({ tenant }) => tenant), commands.map(({ streamId }) => streamId)],
      );
      return new Map(result.rows.map(({ key, version }) => [key, Number(version)]));
    },
    version: (versions, { tenant, streamId }) => versions.get(`${tenant}/${streamId}`) ?? 0,
    decide(versions, { tenant, streamId, payloads }) {
      const key = `${tenant}/${streamId}`;
      const version = (versions.get(key) ?? 0) + payloads.length;
      versions.set(key, version);
      const events = payloads.map((data) => ({ type: NOTE_TYPE, data }));
      return { kind: 'accepted', events, answer: version };
    },
    save: () => [],
    encodeAnswer: (version) => Buffer.from(String(version)),
    decodeAnswer: (bytes) => Number(Buffer.from(bytes).toString()),
  };
}
