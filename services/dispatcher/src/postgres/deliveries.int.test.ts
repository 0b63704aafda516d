import { describe, expect, test } from 'vitest';

import type { AttemptRecord } from '../engine/recording.ts';
import { getDelivery, listDeliveries } from './deliveries.ts';
import { ENDPOINT, event, NOW_MS, parked, useTables } from './tables.fixture.ts';

const tables = useTables();
const { write } = tables;

describe('the delivery log', () => {
  const attempt = {
    event: event(1),
    endpointId: ENDPOINT,
    attempt: 1,
    startedAtMs: NOW_MS,
    revision: 1,
    outcome: { kind: 'rejected', status: 500, durationMs: 12, snippet: 'a "quoted" \\ answer' },
    reason: undefined,
    settlement: undefined,
  } satisfies AttemptRecord;
  const accepted = { kind: 'delivered', status: 204, durationMs: 1 } as const;
  const key = { tenant: 'default', eventId: event(1).id, endpointId: ENDPOINT };

  test('a delivery shows its attempts, and where it stands', async () => {
    await write({ attempts: [attempt], parkedRows: [parked(1, { attempt: 1 })] });
    expect(await getDelivery(tables.pool, key)).toMatchObject({
      delivery: { attempt: 1, standing: { kind: 'parked', dueAtMs: NOW_MS } },
      attempts: [{ attempt: 1, outcome: 'rejected', status: 500, detail: attempt.outcome.snippet }],
    });
    const delivered = {
      ...attempt,
      attempt: 2,
      outcome: accepted,
      settlement: 'delivered' as const,
    };
    await write({ attempts: [delivered], settledRows: [{ position: 1, endpointId: ENDPOINT }] });
    expect(await getDelivery(tables.pool, key)).toMatchObject({
      delivery: { standing: { kind: 'settled', settlement: 'delivered' } },
      attempts: [{ attempt: 1 }, { attempt: 2, outcome: 'delivered', status: 204 }],
    });
  });

  test('what is another tenant’s is not found', async () => {
    await write({ attempts: [attempt], parkedRows: [parked(1)] });
    expect(await getDelivery(tables.pool, { ...key, tenant: 'other' })).toBeUndefined();
  });

  test('a list holds parked and settled deliveries, newest events first, page by page', async () => {
    const settled = [1, 2, 3].map((position) => ({
      ...attempt,
      event: event(position),
      outcome: accepted,
      settlement: 'delivered' as const,
    }));
    await write({ attempts: settled, parkedRows: [parked(4), parked(5)] });
    const query = { tenant: 'default', endpointId: ENDPOINT, limit: 3, only: undefined };
    const first = await listDeliveries(tables.pool, { ...query, beforeEventId: undefined });
    expect(first.map(({ position }) => position)).toEqual([5, 4, 3]);
    const second = await listDeliveries(tables.pool, {
      ...query,
      beforeEventId: first.at(-1)?.eventId,
    });
    expect(second.map(({ position }) => position)).toEqual([2, 1]);
    const waiting = await listDeliveries(tables.pool, {
      ...query,
      beforeEventId: undefined,
      only: 'waiting',
    });
    expect(waiting.map(({ position }) => position)).toEqual([5]);
  });
});
