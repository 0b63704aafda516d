import { createPool, migrate } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { expect, onTestFinished, test } from 'vitest';
import { encodeEndpointEvent } from '../protobuf/endpoint-events.ts';
import type { EndpointEvent } from '../domain/endpoint.ts';
import { migrations, SCHEMA } from './migrations.ts';
import { rebuildEndpoints } from './rebuild-endpoints.ts';

const database = useTestDatabase();

const UUID = '01928374-0000-7000-8000-000000000001';
const events: readonly EndpointEvent[] = [
  { type: 'endpoint_created', url: 'https://a.example/' },
  { type: 'subscription_added', event: '*', registeredAtMs: 1_000, filter: null },
  { type: 'endpoint_disabled', reason: 'gone' },
  { type: 'endpoint_paused' },
];

test('endpoints from before the newest migrations are what their events make of them', async () => {
  const pool = createPool({
    connectionString: database.connectionString,
    applicationName: 'test',
    maxConnections: 1,
    log: createLog({ level: 'silent', service: 'test' }),
  });
  onTestFinished(() => pool.end());
  await migrate(pool, { schema: SCHEMA, migrations: migrations.slice(0, 2) });
  await pool.query(`insert into ${SCHEMA}.lane (lane, position) values (0, ${events.length})`);
  for (const [index, event] of events.entries()) {
    await pool.query(
      `insert into ${SCHEMA}.event
         (lane, position, id, tenant, stream_id, version, type, data, recorded_at)
       values (0, $1::bigint, gen_random_uuid(), 'default', $2, $1::bigint, $3, $4,
         to_timestamp($1::bigint + 0.25))`,
      [index + 1, `ep_${UUID.replaceAll('-', '')}`, event.type, encodeEndpointEvent(event)],
    );
  }
  await pool.query(
    `insert into ${SCHEMA}.endpoint (endpoint_id, tenant, version, url, description, paused,
       disabled_reason, created_at_ms, updated_at_ms, renewed_at_revision)
     values ($1, 'default', 4, 'https://a.example/', '', true, 'gone', 1250, 4250, 1)`,
    [UUID],
  );
  await pool.query(`insert into ${SCHEMA}.subscription values ($1, '*', 1000)`, [UUID]);

  await migrate(pool, { schema: SCHEMA, migrations });
  const read = async () => {
    const endpoints = await pool.query(`select * from ${SCHEMA}.endpoint`);
    const subscriptions = await pool.query(`select * from ${SCHEMA}.subscription`);
    return [...endpoints.rows, ...subscriptions.rows];
  };
  const migrated = await read();
  expect(migrated[0]).toMatchObject({ disabled_at_ms: 3_250n, header_names: [] });
  expect(await rebuildEndpoints(pool)).toBe(1);
  expect(await read()).toEqual(migrated);
});
