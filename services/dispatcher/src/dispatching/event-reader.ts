import { setImmediate, setTimeout as sleep } from 'node:timers/promises';

import {
  checkSlice,
  type EventLogReader,
  type LaneRequest,
  type LaneSlice,
  type LogRecord,
} from '@billhook/event-log';
import type { Log } from '@billhook/runtime';

import type { LogEvent } from '../engine/delivery.ts';
import type { ReadRequest } from '../engine/effect.ts';
import type { RevisionBarrier } from '../subscriptions/barrier.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import { renderBody } from '../webhook/body.ts';
import type { EngineLoop } from './engine-loop.ts';
import { createHaltedLanes, type HaltedLane } from './halted-lanes.ts';
import { createSliceMatcher, type DecodedSlice } from './slice-matcher.ts';

/** The pause while the engine has no room, be it for one lane. */
const FULL_PAUSE_MS = 10;
/** How long to wait for news before the log is read all the same. */
const IDLE_READ_EVERY_MS = 500;
const RETRY_READ_AFTER_MS = 250;

/** What a read brought: nothing new, all that was there, or perhaps not all of it. */
type Found = 'nothing' | 'all' | 'some';

/** Reads the lanes that have room, and gives the engine their events behind the barrier. */
export interface EventReader {
  /** Reads until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Lanes that cannot be read on. */
  halted(): ReadonlyMap<number, HaltedLane>;
}

/** Makes the reader. */
export function createEventReader(deps: {
  readonly eventLog: EventLogReader;
  readonly barrier: RevisionBarrier;
  readonly view: SubscriptionView;
  readonly loop: EngineLoop;
  readonly log: Log;
}): EventReader {
  const { eventLog, barrier, loop, log } = deps;
  const matchAll = createSliceMatcher(deps);
  const halted = createHaltedLanes({ log, monotonicMs: () => performance.now() });

  function take(request: ReadRequest, slice: LaneSlice): DecodedSlice {
    const { after, mark } = request;
    const known = mark && { position: after, id: mark.id };
    const checked = checkSlice(known, slice, decode);
    if (checked.kind === 'halted') halted.halt(request, checked);
    else halted.sound(request, slice);
    return { request, events: checked.events };
  }

  async function readOnce(requests: readonly ReadRequest[], signal: AbortSignal): Promise<Found> {
    const slices = await eventLog.read(requests.map(toLaneRequest), signal);
    const decoded: DecodedSlice[] = [];
    for (const [index, slice] of slices.entries()) {
      const request = requests[index];
      if (request === undefined) continue;
      const taken = take(request, slice);
      if (taken.events.length > 0) decoded.push(taken);
    }
    if (decoded.length === 0) return 'nothing';
    await barrier.awaitCurrent(signal);
    await matchAll(decoded, signal);
    return isAllTaken(decoded) ? 'all' : 'some';
  }

  /** Whether the lanes were read to their ends, and the engine had room for all of it. */
  function isAllTaken(slices: readonly DecodedSlice[]): boolean {
    const isCut = slices.some(({ request, events }) => events.length >= request.limit);
    if (isCut) return false;
    const standings = new Map(loop.engine.lanes().map((standing) => [standing.lane, standing]));
    return slices.every(
      ({ request, events }) =>
        standings.get(request.lane)?.readPosition === events.at(-1)?.position,
    );
  }

  async function step(signal: AbortSignal): Promise<void> {
    const wanted = loop.engine.readRequests();
    const requests = wanted.filter((request) => halted.mayRead(request));
    if (requests.length === 0) {
      await sleep(FULL_PAUSE_MS, undefined, { signal });
      return;
    }
    if ((await readOnce(requests, signal)) === 'some') {
      // Nothing of it need have waited for anything outside: the rest of the process is to have its turn.
      await setImmediate();
      return;
    }
    // A lane that had no room, or was gained since, may have something that nobody announces any more.
    const isWhole = wanted.length === loop.engine.lanes().length;
    await eventLog.waitForMore(signal, isWhole ? IDLE_READ_EVERY_MS : FULL_PAUSE_MS);
  }

  return {
    async run(signal) {
      let failures = 0;
      while (!signal.aborted) {
        try {
          await step(signal);
          failures = 0;
        } catch (error) {
          if (signal.aborted) return;
          failures += 1;
          if (failures === 1) log.warn({ err: error }, 'the event log could not be read');
          await sleep(RETRY_READ_AFTER_MS, undefined, { signal }).catch(() => undefined);
        }
      }
    },
    halted() {
      const owned = loop.engine.lanes().map(({ lane, epoch }) => [lane, epoch] as const);
      return halted.of(new Map(owned));
    },
  };
}

/** Asks a log for what a read request asks the lane for. */
export function toLaneRequest({ lane, after, mark, limit }: ReadRequest): LaneRequest {
  return { lane, after, offset: mark?.offset, limit };
}

/** Makes of a record what the engine works with. The body is rendered here, once per event. */
export function decode(record: LogRecord): LogEvent {
  return {
    lane: record.lane,
    position: record.position,
    id: record.id,
    tenant: record.tenant,
    invoiceId: record.streamId,
    sequence: record.version,
    type: record.type,
    recordedAtMs: record.recordedAtMs,
    traceparent: record.traceparent,
    offset: record.offset,
    body: renderBody(record),
  };
}
