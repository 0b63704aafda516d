import { createPool, migrate, type Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';

import { addLanes } from './lanes.ts';
import { migrations, SCHEMA } from './migrations.ts';

const log = createLog({ level: 'silent', service: 'test' });

/** Makes the dispatcher's tables in a database. The caller ends the pool. */
export async function openTables(connectionString: string, maxConnections: number): Promise<Pool> {
  const pool = createPool({ connectionString, applicationName: 'test', maxConnections, log });
  await migrate(pool, { schema: SCHEMA, migrations });
  return pool;
}

/** Leaves nothing in the tables but lanes of which nothing was read. */
export async function emptyTables(pool: Pool, lanes: number): Promise<void> {
  await pool.query(`truncate dispatcher.parked, dispatcher.parked_event, dispatcher.attempt,
    dispatcher.lane_progress, dispatcher.owner_request`);
  await addLanes(pool, lanes);
}
