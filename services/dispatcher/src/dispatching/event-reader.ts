import { setTimeout as sleep } from 'node:timers/promises';

import {
  checkSlice,
  type EventLogReader,
  type KnownEvent,
  type LaneSlice,
  type LogRecord,
} from '@billhook/event-log';
import type { Log } from '@billhook/runtime';

import type { LogEvent } from '../engine/delivery.ts';
import type { ReadRequest } from '../engine/effect.ts';
import type { MatchedSlice } from '../engine/matching.ts';
import type { RevisionBarrier } from '../subscriptions/barrier.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import { renderBody } from '../webhook/body.ts';
import { CLOCK_TOLERANCE_MS } from './clock-tolerance.ts';
import type { EngineLoop } from './engine-loop.ts';

/** The pause while the engine has no room. */
const FULL_PAUSE_MS = 10;
/** How long to wait for news before the log is read all the same. */
const IDLE_READ_EVERY_MS = 500;
const RETRY_READ_AFTER_MS = 250;

interface DecodedSlice {
  readonly request: ReadRequest;
  readonly events: readonly LogEvent[];
}

/** Reads the lanes that have room, and gives the engine their events behind the barrier. */
export interface EventReader {
  /** Reads until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Lanes that cannot be read on, with the reason. */
  halted(): ReadonlyMap<number, string>;
}

/** Makes the reader. */
export function createEventReader(deps: {
  readonly eventLog: EventLogReader;
  readonly barrier: RevisionBarrier;
  readonly view: SubscriptionView;
  readonly loop: EngineLoop;
  readonly log: Log;
}): EventReader {
  const { eventLog, barrier, view, loop, log } = deps;
  const stands = new Map<number, { readonly epoch: number; known: KnownEvent | undefined }>();
  const halted = new Map<number, { readonly epoch: number; readonly reason: string }>();

  /** What was read of a lane under another epoch does not count: another owner may have been. */
  function standOf({ lane, epoch, after }: ReadRequest): { known: KnownEvent | undefined } {
    let stand = stands.get(lane);
    if (stand?.epoch !== epoch) {
      stand = { epoch, known: undefined };
      stands.set(lane, stand);
    }
    if (stand.known !== undefined && stand.known.position !== after) stand.known = undefined;
    return stand;
  }

  function take(request: ReadRequest, slice: LaneSlice): DecodedSlice {
    const stand = standOf(request);
    const checked = checkSlice(stand.known, slice, decode);
    stand.known = checked.known;
    if (checked.kind === 'halted') {
      const { lane, position, reason, cause } = checked;
      halted.set(lane, { epoch: request.epoch, reason });
      log.error({ lane, position, reason, err: cause }, 'a lane is halted: nothing is skipped');
    }
    return { request, events: checked.events };
  }

  async function readOnce(requests: readonly ReadRequest[], signal: AbortSignal): Promise<boolean> {
    const slices = await eventLog.read(requests, signal);
    const decoded: DecodedSlice[] = [];
    for (const [index, slice] of slices.entries()) {
      const request = requests[index];
      if (request === undefined) continue;
      const taken = take(request, slice);
      if (taken.events.length > 0) decoded.push(taken);
    }
    if (decoded.length === 0) return false;
    await barrier.awaitCurrent(signal);
    const matched = decoded.map(match);
    loop.input((engine, now) => engine.eventsRead(matched, now));
    return true;
  }

  function match({ request, events }: DecodedSlice): MatchedSlice {
    return {
      lane: request.lane,
      epoch: request.epoch,
      events: events.map((event) => ({ event, endpoints: view.match(event, CLOCK_TOLERANCE_MS) })),
    };
  }

  function readable(): ReadRequest[] {
    return loop.engine
      .readRequests()
      .filter(({ lane, epoch }) => halted.get(lane)?.epoch !== epoch);
  }

  async function step(signal: AbortSignal): Promise<void> {
    const requests = readable();
    if (requests.length === 0) {
      await sleep(FULL_PAUSE_MS, undefined, { signal });
    } else if (!(await readOnce(requests, signal))) {
      await eventLog.waitForMore(signal, IDLE_READ_EVERY_MS);
    }
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
    halted: () => new Map([...halted].map(([lane, { reason }]) => [lane, reason])),
  };
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
    body: renderBody(record),
  };
}
