import type { LogRecord } from '@billhook/event-log';
import { createLog } from '@billhook/runtime';
import { expect, test } from 'vitest';

import { INVOICE_CREATED } from '../created-invoice.fixture.ts';
import type { Refill } from '../engine/effect.ts';
import { changes, endpoint, snapshot } from '../subscriptions/messages.fixture.ts';
import { createSubscriptionView } from '../subscriptions/view.ts';
import { createRefiller } from './refiller.ts';

const EVENTS = 600;
const ENDPOINTS = 600;
/** Other things that happen while they are judged: far less than there are. */
const LEAST_TURNS = 5;
const { signal } = new AbortController();

/** As many tests as fit into a filter, of which only the last one holds. */
const COSTLY = {
  or: Array.from({ length: 90 }, (_, index) => ({ 'data.amount': { lt: index === 89 ? 999 : 0 } })),
};

test('costly filters are judged a little at a time, by endpoints as they then are', async () => {
  const ids = Array.from({ length: ENDPOINTS }, (_, index) => `ep_${index}`);
  const endpoints = ids.map((endpointId) =>
    endpoint({ endpointId, events: { '*': 1 }, filter: COSTLY }),
  );
  const view = createSubscriptionView();
  view.receive(snapshot(1, endpoints));
  const slice = {
    lane: 0,
    after: 0,
    predecessor: { kind: 'none' },
    events: Array.from({ length: EVENTS }, (_, index) => recordAt(index + 1)),
  } as const;
  const lookup = {
    find: () => Promise.reject(new Error('nobody asks for one event')),
    read: () => Promise.resolve([slice]),
    close: () => Promise.resolve(),
  };
  const barrier = { awaitCurrent: () => Promise.resolve(1) };
  const log = createLog({ level: 'silent', service: 'test' });
  const refiller = createRefiller({ lookup, barrier, view, log });
  const refill: Refill = {
    lane: 0,
    epoch: 1,
    after: 0,
    mark: undefined,
    limit: EVENTS,
    endpointIds: new Set(ids),
  };
  let turns = 0;
  let counting = setImmediate(function count() {
    turns += 1;
    counting = setImmediate(count);
  });
  const refilling = refiller([refill], signal);
  setImmediate(() => view.receive(changes(2, [], ['ep_0'])));
  const [refilled] = await refilling;
  clearImmediate(counting);
  const matched = refilled?.events.map(({ endpoints: each }) => each.length) ?? [];
  expect(matched).toHaveLength(EVENTS);
  expect(matched.at(-1)).toBe(ENDPOINTS - 1);
  expect(refilled?.events.map(({ event }) => event.position)).toEqual(
    slice.events.map(({ position }) => position),
  );
  // All at once would be one turn, whatever the machine does beside it.
  expect(turns).toBeGreaterThan(LEAST_TURNS);
});

function recordAt(position: number): LogRecord {
  return {
    lane: 0,
    position,
    id: `evt_${position.toString().padStart(32, '0')}`,
    tenant: 'default',
    streamId: 'invoice-1',
    version: position,
    type: 'invoice_created',
    data: Buffer.from(INVOICE_CREATED),
    recordedAtMs: 10,
    traceparent: undefined,
    offset: undefined,
  };
}
