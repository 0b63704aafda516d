import { createHash } from 'node:crypto';

import { createMonitoring } from '@billhook/metrics';
import { createPool, migrate } from '@billhook/postgres';
import type { Client, Pool } from '@billhook/postgres';
import { createLog, ServiceError } from '@billhook/runtime';

import { createEventStore } from './create-event-store.ts';
import type { EventStoreOptions } from './create-event-store.ts';
import type { Aggregate, CommandRequest, EventStore, Stream } from './event-store.ts';
import { eventStoreMigrations } from './migrations.ts';

export const SCHEMA = 'counter';
export const LANES = 2;
export const LIMIT = 5;

/** Moves a counter, which stays between 0 and the limit. Moving it by 0 appends nothing. */
export interface Move extends Stream {
  readonly by: number;
  /** Tells the commands of a test apart; it is kept in the event and in the read model. */
  readonly mark: string;
}

export interface Counter {
  readonly value: number;
  readonly version: number;
}

export type CounterStore = EventStore<Move, Counter>;
type Working = Map<string, Counter & Stream & { readonly mark: string }>;

export const silentLog = createLog({ level: 'silent', service: 'test' });

/** A small domain that has all that the store must cope with: events, no-ops and refusals. */
const counters: Aggregate<Move, Working, Counter> = {
  async load(client, commands) {
    const working: Working = new Map();
    for (const { tenant, streamId } of commands) {
      working.set(keyOf({ tenant, streamId }), {
        tenant,
        streamId,
        value: 0,
        version: 0,
        mark: '',
      });
    }
    for (const stored of await readCounters(client)) {
      if (working.has(keyOf(stored))) working.set(keyOf(stored), stored);
    }
    return working;
  },
  version: (working, stream) => working.get(keyOf(stream))?.version ?? 0,
  decide(working, { tenant, streamId, by, mark }) {
    if (mark.startsWith('throws')) throw new TypeError('the domain fails on this command');
    const { value, version } = working.get(keyOf({ tenant, streamId }))!;
    if (value + by < 0 || value + by > LIMIT) {
      const error = new ServiceError('FAILED_PRECONDITION', 'OUT_OF_BOUNDS', 'out of bounds');
      return { kind: 'refused', error };
    }
    if (by === 0) return { kind: 'accepted', events: [], answer: { value, version } };
    const moved = { value: value + by, version: version + 1 };
    working.set(keyOf({ tenant, streamId }), { tenant, streamId, mark, ...moved });
    const data = Buffer.from(`${by} ${mark}`);
    return { kind: 'accepted', events: [{ type: 'moved', data }], answer: moved };
  },
  save(client, working) {
    const rows = [...working.values()].filter(({ version }) => version > 0);
    const saved = client.query(
      `insert into ${SCHEMA}.counter (tenant, stream_id, value, version, mark)
       select * from unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::text[])
       on conflict (tenant, stream_id) do update
       set value = excluded.value, version = excluded.version, mark = excluded.mark`,
      [
        rows.map(({ tenant }) => tenant),
        rows.map(({ streamId }) => streamId),
        rows.map(({ value }) => value),
        rows.map(({ version }) => version),
        rows.map(({ mark }) => mark),
      ],
    );
    return [saved];
  },
  encodeAnswer: ({ value, version }) => Buffer.from(`${value} ${version}`),
  decodeAnswer: (bytes) => {
    const [value, version] = Buffer.from(bytes).toString().split(' ').map(Number);
    return { value: value ?? NaN, version: version ?? NaN };
  },
};

/** Makes the tables of the counters. */
export async function migrateCounters(pool: Pool): Promise<void> {
  const createCounters = `
    create table ${SCHEMA}.counter (
      tenant text not null,
      stream_id text not null,
      value integer not null,
      version integer not null,
      mark text not null,
      primary key (tenant, stream_id)
    )`;
  const migrations = [
    ...eventStoreMigrations(SCHEMA),
    { number: 100, name: 'counters', sql: createCounters },
  ];
  await migrate(pool, { schema: SCHEMA, migrations });
}

export function openPool(connectionString: string, maxConnections = 4): Pool {
  return createPool({ connectionString, applicationName: 'test', maxConnections, log: silentLog });
}

export function openCounters(
  pool: Pool,
  options: Partial<EventStoreOptions> = {},
  monitoring = createMonitoring(),
): CounterStore {
  return createEventStore(
    { pool, aggregate: counters, log: silentLog, monitoring },
    { schema: SCHEMA, lanes: LANES, requestIdRetentionMs: 3_600_000, ...options },
  );
}

/** What a caller hands in, with the hash that the content of the command has. */
export function requestOf(command: Move, requestId?: string): CommandRequest<Move> {
  const content = JSON.stringify([command.by, command.mark]);
  if (requestId === undefined) return { command, bytes: content.length };
  const requestHash = createHash('sha256').update(content).digest();
  return { command, requestId, requestHash, bytes: content.length };
}

/** Reads every counter of the read model. */
export async function readCounters(
  client: Client | Pool,
): Promise<(Counter & Stream & { readonly mark: string })[]> {
  const result = await client.query<Counter & { tenant: string; stream_id: string; mark: string }>(
    `select tenant, stream_id, value, version, mark from ${SCHEMA}.counter`,
  );
  return result.rows.map(({ stream_id: streamId, ...counter }) => ({ ...counter, streamId }));
}

export function keyOf({ tenant, streamId }: Stream): string {
  return `${tenant}/${streamId}`;
}
