import { setTimeout as sleep } from 'node:timers/promises';

import type { EventLogReader, LaneRequest, LogRecord } from '@billhook/event-log';
import { expect, test } from 'vitest';

import { createEventLookup } from './event-lookup.ts';

const { signal } = new AbortController();

function record(lane: number, position: number): LogRecord {
  return {
    lane,
    position,
    id: `evt_${String(position).padStart(32, '0')}`,
    tenant: 'default',
    streamId: 'invoice-1',
    version: position,
    type: 'invoice_created',
    data: Buffer.alloc(0),
    recordedAtMs: 0,
    traceparent: undefined,
    offset: undefined,
  };
}

/** A log whose lanes have events up to a position, and which takes its time to find its place. */
function slowLog({ end, seekMs = 20 }: { readonly end: number; readonly seekMs?: number }) {
  const asked: LaneRequest[] = [];
  const open = (): Promise<EventLogReader> =>
    Promise.resolve({
      async read(requests) {
        asked.push(...requests);
        await sleep(seekMs);
        return requests.map(({ lane, after, limit }) => ({
          lane,
          after,
          predecessor: { kind: 'none' },
          events: Array.from({ length: Math.max(0, Math.min(limit, end - after)) }, (_, index) =>
            record(lane, after + 1 + index),
          ),
        }));
      },
      waitForMore: (limit, timeoutMs) =>
        sleep(timeoutMs, undefined, { signal: limit }).catch(() => undefined),
      close: () => Promise.resolve(),
    });
  return { asked, open };
}

test('what is wanted together is found together, lane by lane in order', async () => {
  const log = slowLog({ end: 1_000 });
  const lookup = createEventLookup(log.open);
  const places = [900, 870, 10, 5].flatMap((position) => [
    { lane: 1, position },
    { lane: 2, position: position + 1 },
  ]);
  const found = await Promise.all(places.map((place) => lookup.find(place, signal)));
  expect(found.map(({ lane, position }) => ({ lane, position }))).toEqual(places);
  expect(log.asked).toEqual([
    { lane: 1, after: 4, limit: 6 },
    { lane: 2, after: 5, limit: 6 },
    { lane: 1, after: 869, limit: 31 },
    { lane: 2, after: 870, limit: 31 },
  ]);
  await lookup.close();
});

test('who reads lanes does not wait for the events that others want', async () => {
  const log = slowLog({ end: 1_000_000, seekMs: 10 });
  const lookup = createEventLookup(log.open);
  const finding = Array.from({ length: 200 }, (_, index) =>
    lookup.find({ lane: 0, position: 1 + index * 1_000 }, signal),
  );
  const startedAtMs = performance.now();
  const [slice] = await lookup.read([{ lane: 0, after: 5, limit: 1 }], signal);
  expect(slice?.events[0]?.position).toBe(6);
  expect(performance.now() - startedAtMs).toBeLessThan(500);
  expect(await Promise.all(finding)).toHaveLength(200);
  await lookup.close();
});

test('an event that the log has not is given up, also when the look-up ends', async () => {
  const lookup = createEventLookup(slowLog({ end: 10 }).open);
  const finding = expect(lookup.find({ lane: 0, position: 11 }, signal)).rejects.toThrow(
    'Lane 0 shows no event at 11.',
  );
  expect(await lookup.find({ lane: 1, position: 3 }, signal)).toMatchObject({ position: 3 });
  await lookup.close();
  await finding;
});

test('who asks no more is not answered', async () => {
  const lookup = createEventLookup(slowLog({ end: 10 }).open);
  const reason = new Error('no more');
  const finding = lookup.find({ lane: 0, position: 5 }, AbortSignal.abort(reason));
  await expect(finding).rejects.toBe(reason);
  await lookup.close();
});
