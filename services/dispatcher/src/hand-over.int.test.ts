import { setTimeout as sleep } from 'node:timers/promises';

import { startPostgresProxy } from '@billhook/testing';
import { expect, onTestFinished, test } from 'vitest';

import { distinct, firstSeen, invoiceIds, useDispatchers } from './dispatchers.fixture.ts';

const LANES = 8;
const EVENTS = 6;
/** Longer than a lane that is given up waits for answers. */
const SLOW_MS = 1_200;
/** The deadline is far beyond that: what is late on a busy machine is sent again. */
const SHARED = { ownership: 'shared', deliveryTimeoutMs: 15_000 } as const;
const dispatchers = useDispatchers({ lanes: LANES });

/** How many lanes each live dispatcher has, the fewest first. */
async function shares(): Promise<number[]> {
  const { rows } = await dispatchers.pool.query<{ lanes: number }>(
    `select count(*)::int as lanes from dispatcher.lane_lease where owner <> ''
     group by owner order by 1`,
  );
  return rows.map(({ lanes }) => lanes);
}

async function rowsOf(table: string): Promise<number> {
  const result = await dispatchers.pool.query(`select from dispatcher.${table}`);
  return result.rowCount ?? 0;
}

test('dispatchers that join and leave while receivers are slow send nothing twice', async () => {
  const ids = invoiceIds(40);
  const receiver = await dispatchers.receive(() => ({
    kind: 'respond',
    status: 204,
    delayMs: Math.random() * SLOW_MS,
  }));
  dispatchers.register(receiver);
  const first = await dispatchers.start(SHARED);
  await expect.poll(shares, { timeout: 5_000 }).toEqual([LANES]);
  await dispatchers.appendToEach(ids, EVENTS);
  await receiver.waitFor(40, 5_000);

  const second = await dispatchers.start(SHARED);
  await expect.poll(shares, { timeout: 5_000 }).toEqual([4, 4]);
  await receiver.waitFor((requests) => requests.length > 80, 10_000);
  await first.stop();
  await expect.poll(shares, { timeout: 5_000 }).toEqual([LANES]);
  await dispatchers.start(SHARED);
  await second.stop();

  await receiver.waitFor((requests) => distinct(requests) >= 40 * EVENTS, 30_000);
  await expect.poll(dispatchers.parkedRows, { timeout: 10_000 }).toBe(0);
  await expect.poll(() => rowsOf('late_answer'), { timeout: 5_000 }).toBe(0);
  expect(receiver.requests).toHaveLength(40 * EVENTS);
  const sequences = Array.from({ length: EVENTS }, (_, index) => index + 1);
  for (const id of ids) expect(firstSeen(receiver.requests, id)).toEqual(sequences);
});

test('what fails after its lane was handed over is tried again as the schedule says, once', async () => {
  // No more than are under way at once to an endpoint that nothing is known of.
  const count = 8;
  const ids = invoiceIds(count);
  let failures = 0;
  const receiver = await dispatchers.receive(() => {
    failures += 1;
    return { kind: 'respond', status: failures <= count ? 503 : 204, delayMs: SLOW_MS };
  });
  dispatchers.register(receiver);
  const first = await dispatchers.start(SHARED);
  await dispatchers.appendToEach(ids, 1);
  await receiver.waitFor(count, 15_000);
  await dispatchers.start(SHARED);
  await first.stop();
  await receiver.waitFor(2 * count, 10_000);
  await expect.poll(dispatchers.parkedRows, { timeout: 10_000 }).toBe(0);
  expect(receiver.requests).toHaveLength(2 * count);
  const { rows } = await dispatchers.pool.query<{ attempt: number; count: bigint }>(
    'select attempt, count(*) from dispatcher.attempt where invoice_id = any($1) group by 1 order by 1',
    [ids],
  );
  expect(rows).toEqual([
    { attempt: 1, count: BigInt(count) },
    { attempt: 2, count: BigInt(count) },
  ]);
});

// The last one: its leases expire only after a while.
test('a stop ends in time, also while Postgres answers nothing', async () => {
  const proxy = await startPostgresProxy(dispatchers.database.connectionString);
  onTestFinished(() => proxy.close());
  const receiver = await dispatchers.receive();
  dispatchers.register(receiver);
  const shutdownTimeoutMs = 4_000;
  const databaseUrl = proxy.connectionString;
  const service = await dispatchers.start({ databaseUrl, shutdownTimeoutMs });
  await dispatchers.appendToEach(invoiceIds(10), 1);
  await receiver.waitFor(10, 5_000);
  proxy.hang();
  await Promise.race([
    service.stop(),
    sleep(shutdownTimeoutMs).then(() => expect.fail('too late')),
  ]);
});
