import type { StoredEvent } from '@billhook/event-store';
import { expect, test } from 'vitest';
import type { LaneSlice } from '../event-log.ts';
import { LaneTails } from './lane-tails.ts';

const LANE = 3;
const MANY_BYTES = 1_000_000;
const LIMITS = { maxBytes: MANY_BYTES, maxAgeMs: 1_000 };

test('what was told after the end of a lane is read from memory, with what stands before it', () => {
  const tails = followed(2);
  expect(read(tails, 2)).toEqual({ predecessor: eventAt(2), positions: [] });
  tails.append([event(3), event(4)]);
  tails.append([event(5)]);
  expect(read(tails, 2)).toEqual({ predecessor: eventAt(2), positions: [3, 4, 5] });
  expect(read(tails, 4)).toEqual({ predecessor: eventAt(4), positions: [5] });
  expect(read(tails, 5)).toEqual({ predecessor: eventAt(5), positions: [] });
});

test('a lane that is empty can be followed from its beginning', () => {
  const tails = new LaneTails(LIMITS);
  tails.reachedEnd({ lane: LANE, after: 0, predecessor: { kind: 'none' }, events: [] }, 0);
  tails.append([event(1)]);
  expect(read(tails, 0)).toEqual({ predecessor: { kind: 'none' }, positions: [1] });
});

test('the store is asked for a lane that was not read to its end, and for what came before', () => {
  const tails = new LaneTails(LIMITS);
  tails.append([event(3)]);
  expect(read(tails, 2)).toBeUndefined();
  const followedTails = followed(2);
  followedTails.append([event(3), event(4)]);
  expect(read(followedTails, 1)).toBeUndefined();
  read(followedTails, 3);
  expect(read(followedTails, 2)).toBeUndefined();
  expect(read(followedTails, 9)).toBeUndefined();
});

test('an end is not believed when more was told while it was read', () => {
  const tails = new LaneTails(LIMITS);
  tails.append([event(3)]);
  tails.reachedEnd(sliceTo(2), 0);
  expect(read(tails, 2)).toBeUndefined();
  tails.reachedEnd(sliceTo(3), 0);
  expect(read(tails, 3)).toEqual({ predecessor: eventAt(3), positions: [] });
});

test('neither is one whose beginning is not there', () => {
  const tails = new LaneTails(LIMITS);
  tails.reachedEnd({ lane: LANE, after: 7, predecessor: { kind: 'none' }, events: [] }, 0);
  expect(read(tails, 7)).toBeUndefined();
});

test('what the store brought already is not taken twice', () => {
  const tails = followed(4);
  tails.append([event(3), event(4), event(5)]);
  expect(read(tails, 4)).toEqual({ predecessor: eventAt(4), positions: [5] });
});

test('a lane is read from the store again after a gap, and after a commit that was not answered', () => {
  const gapped = followed(2);
  gapped.append([event(4)]);
  expect(read(gapped, 2)).toBeUndefined();
  const unsure = followed(2);
  unsure.append([event(3)]);
  unsure.append('unknown');
  expect(read(unsure, 2)).toBeUndefined();
});

test('an end that was learned too long ago is not believed', () => {
  const tails = followed(2);
  tails.append([event(3)]);
  expect(read(tails, 2, { nowMs: 999 })?.positions).toEqual([3]);
  expect(read(tails, 2, { nowMs: 1_000 })).toBeUndefined();
});

test('one read brings as many events and bytes as were asked for, but one at least', () => {
  const tails = followed(0);
  tails.append([event(1, 100), event(2, 100), event(3, 100)]);
  expect(read(tails, 0, { limit: 2 })?.positions).toEqual([1, 2]);
  expect(read(tails, 0, { maxBytes: 150 })?.positions).toEqual([1, 2]);
  expect(read(tails, 0, { maxBytes: 1 })?.positions).toEqual([1]);
});

test('beyond its bytes all is forgotten, and room is made by reading on', () => {
  const tails = new LaneTails({ ...LIMITS, maxBytes: 4_000 });
  tails.reachedEnd(sliceTo(0), 0);
  for (let position = 1; position <= 100; position += 1) {
    tails.append([event(position, 1_000)]);
    expect(read(tails, position - 1)?.positions).toEqual([position]);
  }
  tails.append([event(101, 1_000), event(102, 1_000), event(103, 1_000)]);
  expect(read(tails, 100)).toBeUndefined();
});

/** Tails that know the end of the lane. */
function followed(end: number): LaneTails {
  const tails = new LaneTails(LIMITS);
  tails.reachedEnd(sliceTo(end), 0);
  return tails;
}

function sliceTo(end: number): LaneSlice {
  return end === 0
    ? { lane: LANE, after: 0, predecessor: { kind: 'none' }, events: [] }
    : { lane: LANE, after: end, predecessor: eventAt(end), events: [] };
}

interface ReadBounds {
  readonly limit: number;
  readonly maxBytes: number;
  readonly nowMs: number;
}

function read(
  tails: LaneTails,
  after: number,
  { limit = 100, maxBytes = MANY_BYTES, nowMs = 0 }: Partial<ReadBounds> = {},
) {
  const slice = tails.read({ lane: LANE, after, limit }, { maxBytes, nowMs });
  return (
    slice && {
      predecessor: slice.predecessor,
      positions: slice.events.map(({ position }) => position),
    }
  );
}

function eventAt(position: number) {
  return { kind: 'event', id: `evt_${position}` } as const;
}

function event(position: number, bytes = 1): StoredEvent {
  return {
    lane: LANE,
    position,
    id: `evt_${position}`,
    tenant: 'default',
    streamId: 'stream',
    version: position,
    type: 'note_added',
    data: Buffer.alloc(bytes),
    recordedAtMs: 0,
    traceparent: undefined,
  };
}
