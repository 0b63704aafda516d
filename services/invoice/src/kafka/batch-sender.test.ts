import type { EventLogReader, LogRecord } from '@billhook/event-log';
import type { BatchProducer } from '@billhook/kafka';
import { createLog } from '@billhook/runtime';
import { afterEach, expect, test, vi } from 'vitest';
import { createBatchSender } from './batch-sender.ts';
import { Carriers } from './carriers.ts';
import { createLedLane, type LedLane } from './led-lane.ts';

/** Which lanes go into which request is the sender's: no broker is needed to see it. */
const LANES = 4;
const EVENT_BYTES = 60 * 1024;

type Sends = BatchProducer['send'];

let stop: () => Promise<void>;
afterEach(() => stop());

/** A sender with events that are added; what it sends is kept, and answered as told. */
function run({
  answer = accept(),
  count = LANES,
}: { readonly answer?: Sends; readonly count?: number } = {}) {
  const log = createLog({ level: 'silent', service: 'test' });
  const events = new Map<number, LogRecord[]>();
  const led = new Map<number, LedLane>();
  for (let lane = 0; lane < count; lane += 1)
    led.set(lane, { ...createLedLane(lane, 1), phase: 'idle' });
  /** Each request with its producer's number, as counts of events by lane. */
  const requests: { readonly producer: number; readonly counts: Record<number, number> }[] = [];
  const closed: number[] = [];
  let producers = 0;
  const carriers = new Carriers(() => {
    producers += 1;
    const producer = producers;
    return {
      send(batches) {
        const counts = [...batches].map(([lane, { length }]) => [lane, length]);
        requests.push({ producer, counts: Object.fromEntries(counts) });
        return answer(batches);
      },
      close() {
        closed.push(producer);
      },
    };
  });
  const sender = createBatchSender({
    store: readerOf(events),
    leases: { safeUntilMs: () => Infinity },
    carriers,
    led,
    log,
    onSent: () => undefined,
    // As the check of a lane does, when the topic is as the cursor says.
    onDoubt: () => setImmediate(recheck),
    monotonicMs: () => performance.now(),
  });
  function recheck(): void {
    for (const lane of led.values()) if (lane.phase === 'unchecked') lane.phase = 'idle';
    sender.wake();
  }
  const stopping = new AbortController();
  const running = sender.run(stopping.signal);
  stop = async () => {
    stopping.abort();
    await running;
  };
  return {
    led,
    requests,
    closed,
    carriers,
    recheck,
    add: (...lanes: readonly number[]) => {
      for (const lane of lanes) {
        const ofLane = events.get(lane) ?? [];
        events.set(lane, [...ofLane, eventAt(lane, ofLane.length + 1)]);
      }
      sender.wake();
    },
  };
}

test('lanes that one broker leads go in one request, those of another one in another', async () => {
  const { led, requests, add } = run();
  for (const lane of led.values()) lane.leader = lane.lane < 3 ? 1 : 2;
  add(0, 1, 1, 3);
  await vi.waitFor(() => expect(requests).toHaveLength(2));
  expect(requests.map(({ counts }) => counts)).toEqual(
    expect.arrayContaining([{ 0: 1, 1: 2 }, { 3: 1 }]),
  );
});

test('while a request is under way what comes gathers for the next one', async () => {
  const { promise: isAnswered, resolve } = Promise.withResolvers<void>();
  const accepted = accept();
  const { requests, add } = run({ answer: (batches) => isAnswered.then(() => accepted(batches)) });
  add(0);
  await vi.waitFor(() => expect(requests).toHaveLength(1));
  add(1);
  add(0, 2);
  resolve();
  await vi.waitFor(() => expect(requests).toHaveLength(2));
  expect(requests[1]?.counts).toEqual({ 0: 1, 1: 1, 2: 1 });
});

test('a lane whose request failed is sent alone until that succeeds, and keeps nobody waiting', async () => {
  let isRefused = true;
  const accepted = accept();
  const { led, requests, closed, recheck, add } = run({
    answer: (batches) =>
      isRefused && batches.has(2) ? Promise.reject(new Error('refused')) : accepted(batches),
  });
  add(0, 1, 2);
  await vi.waitFor(() => expect(led.get(1)?.cursor.position).toBe(1));
  add(0, 1, 2);
  await vi.waitFor(() => expect(led.get(1)?.cursor.position).toBe(2));
  const [first, ...later] = requests.map(({ counts }) => Object.keys(counts));
  expect(first).toEqual(['0', '1', '2']);
  expect(later.filter((lanes) => lanes.includes('2') && lanes.length > 1)).toEqual([]);
  isRefused = false;
  recheck();
  await vi.waitFor(() => expect(led.get(2)?.cursor.position).toBe(2));
  const count = requests.length;
  add(0, 1, 2);
  await vi.waitFor(() => expect(led.get(2)?.cursor.position).toBe(3));
  expect(requests.slice(count)).toEqual([{ producer: 1, counts: { 0: 1, 1: 1, 2: 1 } }]);
  expect(new Set(closed)).toEqual(new Set([2, 3, 4]));
});

test('sixteen lanes at most are sent alone at a time', async () => {
  const hanging: (() => void)[] = [];
  const accepted = accept();
  const { led, requests, add } = run({
    count: 40,
    answer(batches) {
      const { promise, resolve } = Promise.withResolvers<void>();
      hanging.push(resolve);
      return promise.then(() => accepted(batches));
    },
  });
  for (const lane of led.values()) lane.isAlone = true;
  add(...led.keys());
  await vi.waitFor(() => expect(requests).toHaveLength(16));
  add(...led.keys());
  hanging.shift()?.();
  await vi.waitFor(() => expect(requests.length).toBeGreaterThan(16));
  await vi.waitFor(() => {
    for (const answer of hanging.splice(0)) answer();
    expect([...led.values()].map(({ cursor }) => cursor.position)).toEqual(Array(40).fill(2));
  });
});

test('a request stays below its bytes, and what it has no room for is in the next ones', async () => {
  const { led, requests, add } = run();
  add(...Array.from({ length: 40 }, (_, index) => index % LANES));
  await vi.waitFor(() => {
    expect([...led.values()].map(({ cursor }) => cursor.position)).toEqual([10, 10, 10, 10]);
  });
  const sizes = requests.map(({ counts }) => Object.values(counts).reduce((sum, n) => sum + n, 0));
  expect(Math.max(...sizes) * EVENT_BYTES).toBeLessThanOrEqual(1.5 * 1024 * 1024);
});

test('a lane that is lost cuts its own request short, and no other one', async () => {
  const { led, requests, closed, carriers, add } = run({
    answer: () => new Promise(() => undefined),
  });
  for (const lane of led.values()) lane.leader = lane.lane < 3 ? 1 : 2;
  add(0, 3);
  await vi.waitFor(() => expect(requests).toHaveLength(2));
  const lost = led.get(3);
  if (lost !== undefined) carriers.cut(lost);
  expect(closed).toEqual([requests.find(({ counts }) => 3 in counts)?.producer]);
});

/** Stores everything, one partition after the other as Kafka does. */
function accept(): Sends {
  const ends = new Map<number, number>();
  return (batches) => {
    const offsets = new Map<number, number>();
    for (const [lane, { length }] of batches) {
      const offset = ends.get(lane) ?? 0;
      offsets.set(lane, offset);
      ends.set(lane, offset + length);
    }
    return Promise.resolve(offsets);
  };
}

function readerOf(events: ReadonlyMap<number, readonly LogRecord[]>): EventLogReader {
  return {
    read: (requests) =>
      Promise.resolve(
        requests.map(({ lane, after, limit }) => {
          const ofLane = events.get(lane) ?? [];
          const before = ofLane[after - 1];
          return {
            lane,
            after,
            predecessor: before === undefined ? { kind: 'none' } : { kind: 'event', id: before.id },
            events: ofLane.slice(after, after + limit),
          };
        }),
      ),
    waitForMore: (signal) =>
      new Promise((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      }),
    close: () => Promise.resolve(),
  };
}

function eventAt(lane: number, position: number): LogRecord {
  return {
    lane,
    position,
    id: `evt_${lane.toString(16).padStart(16, '0')}${position.toString(16).padStart(16, '0')}`,
    tenant: 'default',
    streamId: `stream-${lane}`,
    version: position,
    type: 'noted',
    data: Buffer.alloc(EVENT_BYTES),
    recordedAtMs: 0,
    traceparent: undefined,
    offset: undefined,
  };
}
