import { setTimeout as sleep } from 'node:timers/promises';
import { checkSlice, encodeRecord, type EventLogReader, type LogRecord } from '@billhook/event-log';
import type { LaneLeases } from '@billhook/lane-leases';
import type { Log } from '@billhook/runtime';
import { goOn, halt, MAX_BATCH_EVENTS, takeBatch, type LedLane } from './led-lane.ts';

/** Sends what follows the cursors of idle lanes, each lane for itself. */
export interface BatchSender {
  /** Something may be there to be sent. */
  wake(): void;
  /** Sends until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** The slow poll: what is notified comes at once. */
const POLL_EVERY_MS = 1_000;
const RETRY_READ_AFTER_MS = 250;

/** Makes the sender. */
export function createBatchSender(deps: {
  readonly store: EventLogReader;
  readonly leases: LaneLeases;
  readonly led: ReadonlyMap<number, LedLane>;
  /** A batch was acknowledged, and the lane's cursor moved. */
  readonly onSent: (lane: LedLane) => void;
  /** The lane is to be checked against the topic. */
  readonly onDoubt: () => void;
  readonly log: Log;
  readonly monotonicMs: () => number;
}): BatchSender {
  const { store, leases, led, log, monotonicMs } = deps;
  let woken = new AbortController();
  const wake = (): void => woken.abort();

  async function send(lane: LedLane, events: readonly LogRecord[]): Promise<void> {
    const last = events.at(-1);
    if (last === undefined) return;
    lane.phase = 'sending';
    lane.sendingSinceMs = monotonicMs();
    try {
      const offset = await lane.producer.send(events.map(encodeRecord));
      // A lower offset than expected: the topic is another one, or lost its tail, and lacks what was sent
      // before this batch.
      if (offset > lane.cursor.offset) {
        const { position, id: eventId } = last;
        lane.cursor = { position, eventId, offset: offset + events.length - 1 };
        lane.phase = 'idle';
        deps.onSent(lane);
      } else {
        lane.phase = 'unchecked';
        lane.strayFrom = offset;
      }
    } catch (error) {
      lane.phase = 'unchecked';
      log.warn({ err: error, lane: lane.lane }, 'a batch was not relayed');
    }
    lane.sendingSinceMs = Infinity;
    if (lane.phase === 'unchecked') deps.onDoubt();
    wake();
  }

  /** Returns whether a send began. */
  async function sendMore(signal: AbortSignal): Promise<boolean> {
    if (monotonicMs() >= leases.safeUntilMs()) return false;
    const idle = [...led.values()].filter(({ phase }) => phase === 'idle');
    const requests = idle.map(({ lane, cursor }) => {
      return { lane, after: cursor.position, limit: MAX_BATCH_EVENTS };
    });
    let began = false;
    const slices = await store.read(requests, signal);
    // The process may have been frozen meanwhile.
    if (monotonicMs() >= leases.safeUntilMs()) return false;
    for (const [index, slice] of slices.entries()) {
      const lane = idle[index];
      // It may have been given up, or checked again, since it was asked for.
      if (lane === undefined || led.get(lane.lane) !== lane || lane.phase !== 'idle') continue;
      const { position, eventId: id } = lane.cursor;
      if (position !== slice.after) continue;
      const known = id === undefined ? undefined : { position, id };
      const checked = checkSlice(known, slice, (record) => record);
      if (checked.kind === 'continuous') goOn(lane, log);
      if (checked.events.length > 0) {
        lane.underWay = send(lane, takeBatch(checked.events));
        began = true;
      } else if (checked.kind === 'halted') {
        halt(lane, `${checked.reason} in the store at position ${checked.position}`, log);
      }
    }
    return began;
  }

  return {
    wake,
    async run(signal) {
      let failures = 0;
      while (!signal.aborted) {
        woken = new AbortController();
        const cut = AbortSignal.any([signal, woken.signal]);
        try {
          if (!(await sendMore(signal))) await store.waitForMore(cut, POLL_EVERY_MS);
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
