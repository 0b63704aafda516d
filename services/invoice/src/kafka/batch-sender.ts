import { setTimeout as sleep } from 'node:timers/promises';
import { checkSlice, encodeRecord, type EventLogReader, type LogRecord } from '@billhook/event-log';
import type { LaneLeases } from '@billhook/lane-leases';
import type { Log } from '@billhook/runtime';
import type { Carrier, Carriers } from './carriers.ts';
import {
  eventsToRead,
  goOn,
  halt,
  MAX_REQUEST_BYTES,
  takeBatch,
  type LedLane,
} from './led-lane.ts';

/** Sends what follows the cursors of idle lanes, all lanes that a broker leads in one request. */
export interface BatchSender {
  /** Something may be there to be sent. */
  wake(): void;
  /** Sends until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** The slow poll: what is notified comes at once. */
const POLL_EVERY_MS = 1_000;
const RETRY_READ_AFTER_MS = 250;

/** What goes out in one request: batches by lane. */
interface Request {
  readonly batches: Map<LedLane, readonly LogRecord[]>;
  bytes: number;
}

/** Makes the sender. */
export function createBatchSender(deps: {
  readonly store: EventLogReader;
  readonly leases: Pick<LaneLeases, 'safeUntilMs'>;
  readonly carriers: Carriers;
  readonly led: ReadonlyMap<number, LedLane>;
  /** A batch was acknowledged, and the lane's cursor moved. */
  readonly onSent: (lane: LedLane) => void;
  /** A lane is to be checked against the topic. */
  readonly onDoubt: () => void;
  readonly log: Log;
  readonly monotonicMs: () => number;
}): BatchSender {
  const { store, leases, carriers, led, log, monotonicMs } = deps;
  let woken = new AbortController();
  let turn = 0;
  const wake = (): void => woken.abort();

  async function send(carrier: Carrier, { batches }: Request): Promise<void> {
    const lanes = [...batches.keys()];
    carrier.underWay = lanes;
    const sentAtMs = monotonicMs();
    for (const lane of lanes) {
      lane.phase = 'sending';
      lane.sendingSinceMs = sentAtMs;
    }
    // What fails by itself is looked at with all else, every few seconds, and tried again then.
    const isRepeated = lanes.some(({ isAlone }) => isAlone);
    try {
      const offsets = await carrier.producer.send(
        new Map([...batches].map(([{ lane }, events]) => [lane, events.map(encodeRecord)])),
      );
      for (const [lane, events] of batches) acknowledge(lane, events, offsets.get(lane.lane));
    } catch (error) {
      for (const lane of lanes) {
        lane.phase = 'unchecked';
        lane.isAlone = true;
      }
      if (!isRepeated) deps.onDoubt();
      log.warn({ err: error, lanes: lanes.map(({ lane }) => lane) }, 'batches were not relayed');
    }
    for (const lane of lanes) lane.sendingSinceMs = Infinity;
    carrier.underWay = [];
    wake();
  }

  function acknowledge(lane: LedLane, events: readonly LogRecord[], offset = -1): void {
    const last = events.at(-1);
    // A lower offset than expected: the topic is another one, or lost its tail, and lacks what was sent
    // before this batch.
    if (last === undefined || offset <= lane.cursor.offset) {
      lane.phase = 'unchecked';
      lane.strayFrom = offset;
      deps.onDoubt();
      return;
    }
    const { position, id: eventId } = last;
    lane.cursor = { position, eventId, offset: offset + events.length - 1 };
    lane.phase = 'idle';
    if (lane.isAlone) carriers.closeAlone(lane);
    lane.isAlone = false;
    deps.onSent(lane);
  }

  /**
   * Lanes that may be sent now, another one first each time: what a request has no room for is next.
   */
  function lanesInTurn(): readonly LedLane[] {
    const idle = [...led.values()].filter(
      (lane) => lane.phase === 'idle' && carriers.of(lane).underWay.length === 0,
    );
    if (idle.length > 0) turn += 1;
    const first = turn % Math.max(1, idle.length);
    return [...idle.slice(first), ...idle.slice(0, first)];
  }

  async function sendMore(signal: AbortSignal): Promise<void> {
    if (monotonicMs() >= leases.safeUntilMs()) return;
    const idle = lanesInTurn();
    const limit = eventsToRead(idle.length);
    const reads = idle.map(({ lane, cursor }) => ({ lane, after: cursor.position, limit }));
    const slices = await store.read(reads, signal);
    // The process may have been frozen meanwhile.
    if (monotonicMs() >= leases.safeUntilMs()) return;
    const requests = new Map<Carrier, Request>();
    for (const [index, slice] of slices.entries()) {
      const lane = idle[index];
      // It may have been given up, or checked again, since it was asked for.
      if (lane === undefined || led.get(lane.lane) !== lane || lane.phase !== 'idle') continue;
      const { position, eventId: id } = lane.cursor;
      if (position !== slice.after) continue;
      const known = id === undefined ? undefined : { position, id };
      const checked = checkSlice(known, slice, (record) => record);
      if (checked.kind === 'continuous') goOn(lane, log);
      if (checked.events.length > 0) prepare(requests, lane, checked.events);
      else if (checked.kind === 'halted') {
        halt(lane, `${checked.reason} in the store at position ${checked.position}`, log);
      }
    }
    for (const [carrier, request] of requests) begin(carrier, request);
  }

  function begin(carrier: Carrier, request: Request): void {
    const underWay = send(carrier, request);
    for (const lane of request.batches.keys()) lane.underWay = underWay;
  }

  /** Adds a batch to the request of its carrier, if there is room. A lane that goes alone begins. */
  function prepare(
    requests: Map<Carrier, Request>,
    lane: LedLane,
    events: readonly LogRecord[],
  ): void {
    const carrier = carriers.of(lane);
    // Its leader may be another one than when it was read.
    if (carrier.underWay.length > 0) return;
    if (lane.isAlone && !carriers.hasRoomAlone) return;
    const request = requests.get(carrier) ?? { batches: new Map(), bytes: 0 };
    if (request.bytes >= MAX_REQUEST_BYTES) return;
    const batch = takeBatch(events);
    request.batches.set(lane, batch.events);
    request.bytes += batch.bytes;
    if (lane.isAlone) begin(carrier, request);
    else requests.set(carrier, request);
  }

  return {
    wake,
    async run(signal) {
      let failures = 0;
      while (!signal.aborted) {
        woken = new AbortController();
        const cut = AbortSignal.any([signal, woken.signal]);
        try {
          await sendMore(signal);
          await store.waitForMore(cut, POLL_EVERY_MS);
          failures = 0;
        } catch (error) {
          if (signal.aborted) return;
          failures += 1;
          if (failures === 1) log.warn({ err: error }, 'the store could not be read for the relay');
          await sleep(RETRY_READ_AFTER_MS, undefined, { signal }).catch(() => undefined);
        }
      }
    },
  };
}
