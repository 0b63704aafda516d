import type { Pool } from '@billhook/postgres';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { listDeliveries, type DeliveryQuery } from './deliveries.ts';
import { ENDPOINT } from './recording.fixture.ts';
import { openTables } from './tables.fixture.ts';

const database = useTestDatabase();
const LANES = 4;
const ENDED = 3_000;
/** Rows of others, enough for the planner to read them in one go. */
const OTHER_ROWS = 5_000;
let pool: Pool;

beforeAll(async () => {
  pool = await openTables(database.connectionString, 1);
  // The events of lanes are newer by turns, as in life.
  await pool.query(
    `insert into dispatcher.attempt (endpoint_id, event_id, attempt, lane, position, tenant, invoice_id,
       type, sequence, started_at, duration_ms, outcome, settlement)
     select $1::uuid, lpad(to_hex(number), 32, '0')::uuid, 1, number % $2::int, number / $2::int,
       'default', 'invoice-' || number, 'invoice_created', 1, now(), 1, 'rejected', settlement
     from generate_series(1, $3::int) as number, unnest($4::text[]) as settlement
     where (number % 2 = 0) = (settlement = 'dead')`,
    [ENDPOINT.slice(3), LANES, 2 * ENDED, ['dead', 'delivered']],
  );
  await pool.query(
    `insert into dispatcher.parked
       (lane, position, endpoint_id, invoice_id, attempt, not_before, due_at, ordered)
     select number % $1::int, number, md5(number::text)::uuid, 'invoice', 0, now(), now(), true
     from generate_series(1, $2::int) as number`,
    [LANES, OTHER_ROWS],
  );
  await pool.query('analyze dispatcher.parked, dispatcher.attempt');
});

afterAll(() => pool.end());

test.each([
  ['dead', ENDED],
  ['delivered', ENDED],
  [undefined, 2 * ENDED],
] as const)(
  'what ended is listed page by page, each once, the newest first: %s',
  async (only, count) => {
    const listed: string[] = [];
    for (;;) {
      const page = await readPage({ only, beforeEventId: listed.at(-1) });
      if (page.length === 0) break;
      listed.push(...page);
    }
    expect(listed).toHaveLength(count);
    expect(listed).toEqual([...new Set(listed)].toSorted().toReversed());
  },
);

async function readPage(query: Pick<DeliveryQuery, 'only' | 'beforeEventId'>): Promise<string[]> {
  const which = { tenant: 'default', endpointId: ENDPOINT, limit: 500, ...query };
  const page = await listDeliveries(pool, which);
  return page.map(({ eventId }) => eventId);
}
