import { setTimeout as sleep } from 'node:timers/promises';
import { laneOf } from '@billhook/event-store';
import type { Stream } from '@billhook/event-store';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { NOTE_TYPE, TRACEPARENT } from './appender.fixture.ts';
import { checkSlice } from './check-slice.ts';
import type { KnownEvent } from './check-slice.ts';
import type { EventLogReader, LaneRequest, LaneSlice, LogRecord } from './event-log.ts';

/** What an adapter brings to be tested: a log that real appends go into, and ways to read it. */
export interface EventLogHarness {
  readonly lanes: number;
  /** Appends one event for each payload through the event store, as the process of that number. */
  append(stream: Stream, payloads: readonly Buffer[], process?: number): Promise<void>;
  /** Opens a reader that is woken only by what is appended, not by a poll. */
  open(): Promise<EventLogReader>;
  /** Cuts all connections of readers to the log, once. */
  breakConnections(): Promise<void>;
  close(): Promise<void>;
}

const never = new AbortController().signal;
const LONG_MS = 60_000;

/** The behaviour that every event log has, whatever it is kept in. */
export function describeEventLog(name: string, start: () => Promise<EventLogHarness>): void {
  describe(name, () => {
    let harness: EventLogHarness;

    beforeAll(async () => {
      harness = await start();
    });

    afterAll(() => harness.close());

    const open = async (): Promise<EventLogReader> => {
      const reader = await harness.open();
      onTestFinished(() => reader.close());
      return reader;
    };

    /** A stream that nobody else writes to; its lane may hold other streams. */
    const streamIn = (lane: number, label: string): Stream => {
      for (let number = 0; ; number += 1) {
        const streamId = `${label}-${number}`;
        if (laneOf('default', streamId, harness.lanes) === lane) {
          return { tenant: 'default', streamId };
        }
      }
    };

    describeReading(() => ({ harness, open, streamIn }));
    describePlaces(() => ({ harness, open, streamIn }));
    describeWaiting(() => ({ harness, open, streamIn }));
    describeTrouble(() => ({ harness, open, streamIn }));
  });
}

interface Setup {
  readonly harness: EventLogHarness;
  readonly open: () => Promise<EventLogReader>;
  readonly streamIn: (lane: number, label: string) => Stream;
}

/** Lane 0 is read here, lane 1 stays empty, the others belong to the other groups of tests. */
function describeReading(setup: () => Setup): void {
  const count = 12;
  let stream: Stream;

  beforeAll(async () => {
    const { harness, streamIn } = setup();
    stream = streamIn(0, 'read');
    await harness.append(stream, payloads(count));
  });

  it('hands out an event as it was appended', async () => {
    const reader = await setup().open();
    const [record] = (await readUntil(reader, { lane: 0, after: 0, count: 1 })).events;
    expect(record).toMatchObject({
      lane: 0,
      position: 1,
      ...stream,
      version: 1,
      type: NOTE_TYPE,
      traceparent: TRACEPARENT,
    });
    expect(record?.data.toString()).toBe('payload 1');
    expect(record?.id).toMatch(/^evt_[0-9a-f]{32}$/);
    expect(Math.abs((record?.recordedAtMs ?? 0) - Date.now())).toBeLessThan(LONG_MS);
  });

  it('hands out no more than it is asked for', async () => {
    const reader = await setup().open();
    await readUntil(reader, { lane: 0, after: 0, count });
    const [slice] = await askFor(reader, [{ lane: 0, after: 3, limit: 2 }], hasEvents);
    expect(slice?.events.length).toBeGreaterThan(0);
    expect(slice?.events.length).toBeLessThanOrEqual(2);
    expect(slice?.events[0]?.position).toBe(4);
  });

  it('reads many lanes at once, empty ones too, in the order of the requests', async () => {
    const reader = await setup().open();
    await readUntil(reader, { lane: 0, after: 0, count });
    const requests = [
      { lane: 1, after: 0, limit: 5 },
      { lane: 0, after: count - 1, limit: 5 },
    ];
    const slices = await askFor(reader, requests, (slice) => slice.lane === 1 || hasEvents(slice));
    expect(slices.map((slice) => [slice.lane, positionsOf(slice)])).toEqual([
      [1, []],
      [0, [count]],
    ]);
    expect(await reader.read([], never)).toEqual([]);
  });

  it('lets no long lane keep the events of another waiting', async () => {
    const { harness, open, streamIn } = setup();
    await harness.append(streamIn(2, 'long'), payloads(100, 16 * 1024));
    await harness.append(streamIn(3, 'short'), payloads(1));
    const reader = await open();
    await readUntil(reader, { lane: 3, after: 0, count: 1 });
    const requests = [2, 3].map((lane) => ({ lane, after: 0, limit: 100 }));
    const [long, short] = await askFor(reader, requests, hasEvents);
    expect(long?.events[0]?.position).toBe(1);
    expect(short?.events[0]?.position).toBe(1);
  });
}

/** Lane 13 is read from all sides. */
function describePlaces(setup: () => Setup): void {
  const count = 12;
  let stream: Stream;

  beforeAll(async () => {
    const { harness, streamIn } = setup();
    stream = streamIn(13, 'places');
    await harness.append(stream, payloads(count));
  });

  it('reads from any position, with what stands there as the predecessor', async () => {
    const reader = await setup().open();
    const all = await readUntil(reader, { lane: 13, after: 0, count });
    expect(positionsOf(all)).toEqual(range(1, count));
    for (const after of range(0, count)) {
      const slice = await readUntil(reader, { lane: 13, after, count: count - after });
      expect(positionsOf(slice)).toEqual(range(after + 1, count));
      const id = all.events[after - 1]?.id;
      expect(slice.predecessor).toEqual(
        id === undefined ? { kind: 'none' } : { kind: 'event', id },
      );
    }
  });

  it('shows that a lane ends before a position that was read from it', async () => {
    const reader = await setup().open();
    const known = { position: 1_000, id: 'evt_gone' };
    const [slice] = await askFor(reader, [{ lane: 1, after: 1_000, limit: 5 }]);
    expect(slice).toEqual({ lane: 1, after: 1_000, predecessor: { kind: 'none' }, events: [] });
    const check = slice && checkSlice(known, slice, (record) => record);
    expect(check).toMatchObject({ kind: 'halted', reason: 'lost_tail', position: 1_000 });
  });

  it('goes back to a position that it has read past', async () => {
    const reader = await setup().open();
    const all = await readUntil(reader, { lane: 13, after: 0, count });
    await readUntil(reader, { lane: 13, after: count, count: 0 });
    for (const after of [count - 1, 2, 0, 7]) {
      const slice = await readUntil(reader, { lane: 13, after, count: count - after });
      expect(slice.events.map((record) => record.id)).toEqual(
        all.events.slice(after).map((record) => record.id),
      );
    }
  });

  it('goes on where it was after it looked single events up', async () => {
    const { harness, open } = setup();
    const reader = await open();
    await readUntil(reader, { lane: 13, after: 0, count });
    for (const position of [5, 1, count, 4]) {
      const request = { lane: 13, after: position - 1, limit: 1 };
      const [slice] = await askFor(reader, [request], hasEvents);
      expect(slice && positionsOf(slice)).toEqual([position]);
    }
    await harness.append(stream, payloads(2));
    const more = await readUntil(reader, { lane: 13, after: count, count: 2 });
    expect(positionsOf(more)).toEqual([count + 1, count + 2]);
  });

  it('finds single events for several who ask by turns', async () => {
    const reader = await setup().open();
    const wanted = [3, 9, 1, 12];
    const found = await Promise.all(
      wanted.map((position) => {
        const request = { lane: 13, after: position - 1, limit: 1 };
        return askFor(reader, [request], hasEvents, 20);
      }),
    );
    expect(found.map(([slice]) => slice && positionsOf(slice))).toEqual([[3], [9], [1], [12]]);
  });
}

function describeWaiting(setup: () => Setup): void {
  it('is woken by what is appended', async () => {
    const { harness, open, streamIn } = setup();
    const reader = await open();
    await reader.waitForMore(never, 100);
    const arrived = follow(reader, { lanes: [4], count: 1 });
    await sleep(50);
    await harness.append(streamIn(4, 'wake'), payloads(1));
    expect(await arrived).toHaveLength(1);
  });

  it('does not wait when something was appended since the wait before', async () => {
    const { harness, open, streamIn } = setup();
    const reader = await open();
    await reader.waitForMore(never, 100);
    await harness.append(streamIn(5, 'before'), payloads(1));
    await follow(reader, { lanes: [5], count: 1 });
    await harness.append(streamIn(5, 'before'), payloads(1));
    await sleep(200);
    await reader.waitForMore(never, LONG_MS);
  });

  it('ends a wait when its time is over, when it is aborted and when the reader closes', async () => {
    const reader = await setup().harness.open();
    // Each wait may also end because of an earlier append.
    for (let time = 0; time < 3; time += 1) await reader.waitForMore(never, 20);
    const abort = new AbortController();
    const aborted = reader.waitForMore(abort.signal, LONG_MS);
    abort.abort();
    await aborted;
    const closed = reader.waitForMore(never, LONG_MS);
    await reader.close();
    await closed;
    await reader.waitForMore(never, LONG_MS);
  });

  it('reads nothing for one who gave up or after it was closed', async () => {
    const reader = await setup().harness.open();
    const requests = [{ lane: 0, after: 0, limit: 1 }];
    await expect(reader.read(requests, AbortSignal.abort())).rejects.toThrow();
    await reader.close();
    await expect(reader.read(requests, never)).rejects.toThrow();
  });
}

function describeTrouble(setup: () => Setup): void {
  it('skips nothing while several processes append', async () => {
    const { harness, open } = setup();
    const lanes = range(6, 9);
    const reader = await open();
    const following = follow(reader, { lanes, count: 600 });
    await Promise.all(range(0, 2).map((process) => appendAll(setup(), { lanes, process })));
    const found = await following;
    expect(found).toHaveLength(600);
    expect(new Set(found.map((record) => record.id)).size).toBe(600);
    expect(harness.lanes).toBeGreaterThan(12);
  });

  it('goes on after its connections broke, and skips nothing', async () => {
    const { harness, open } = setup();
    const lanes = range(10, 12);
    const reader = await open();
    const following = follow(reader, { lanes, count: 200 });
    const appending = appendAll(setup(), { lanes, process: 0 });
    for (let time = 0; time < 3; time += 1) {
      await sleep(50);
      await harness.breakConnections();
    }
    await appending;
    expect(await following).toHaveLength(200);
  });
}

/** Appends 200 events one by one, several at a time, spread over the lanes. */
async function appendAll(
  { harness, streamIn }: Setup,
  options: { readonly lanes: readonly number[]; readonly process: number },
): Promise<void> {
  const { lanes, process } = options;
  const streams = lanes.map((lane) => streamIn(lane, `process-${process}`));
  await Promise.all(
    range(1, 20).map(async (worker) => {
      for (const step of range(1, 10)) {
        const stream = streams[(worker + step) % streams.length];
        if (stream !== undefined) await harness.append(stream, payloads(1), process);
        await sleep(5);
      }
    }),
  );
}

/** Reads lanes from their beginning as a dispatcher does, until it has so many events. */
async function follow(
  reader: EventLogReader,
  options: { readonly lanes: readonly number[]; readonly count: number },
): Promise<LogRecord[]> {
  const known = new Map<number, KnownEvent>();
  const found: LogRecord[] = [];
  while (found.length < options.count) {
    const requests = options.lanes.map((lane) => {
      return { lane, after: known.get(lane)?.position ?? 0, limit: 50 };
    });
    const slices = await reader.read(requests, never).catch(() => []);
    let grown = slices.length === 0;
    for (const slice of slices) {
      const check = checkSlice(known.get(slice.lane), slice, (record) => record);
      expect(check.kind).toBe('continuous');
      if (check.known !== undefined) known.set(slice.lane, check.known);
      found.push(...check.events);
      grown ||= check.events.length > 0;
    }
    if (!grown) await reader.waitForMore(never, LONG_MS);
  }
  return found;
}

/** Reads on until a lane has shown so many events, as one slice. */
async function readUntil(
  reader: EventLogReader,
  wanted: { readonly lane: number; readonly after: number; readonly count: number },
): Promise<LaneSlice> {
  const { lane, after, count } = wanted;
  const requests = [{ lane, after, limit: count + 1 }];
  const [slice] = await askFor(reader, requests, ({ events }) => events.length >= count);
  if (slice === undefined) throw new Error('The log answered nothing.');
  return slice;
}

/** Asks the same until the log has found every place, and shows what is enough. */
async function askFor(
  reader: EventLogReader,
  requests: readonly LaneRequest[],
  isEnough: (slice: LaneSlice) => boolean = () => true,
  askEveryMs = LONG_MS,
): Promise<LaneSlice[]> {
  for (;;) {
    const slices = await reader.read(requests, never);
    const isFound = slices.every(({ predecessor }) => predecessor.kind !== 'unknown');
    if (isFound && slices.every(isEnough)) return slices;
    await reader.waitForMore(never, askEveryMs);
  }
}

function hasEvents({ events }: LaneSlice): boolean {
  return events.length > 0;
}

function payloads(count: number, bytes = 0): Buffer[] {
  return range(1, count).map((number) => {
    const text = `payload ${number}`;
    return Buffer.from(text.padEnd(Math.max(bytes, text.length), '.'));
  });
}

function positionsOf(slice: LaneSlice): number[] {
  return slice.events.map((record) => record.position);
}

/** All integers from the first to the last. */
function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
