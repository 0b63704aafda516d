import type { Delivery, LogEvent } from './delivery.ts';
import type { Now, ReadRequest } from './effect.ts';
import { admit, type EndpointLane } from './endpoint-lane.ts';
import type { EndpointView } from './endpoint.ts';
import { moveCursor, mustKeepCursor } from './cursors.ts';
import { wasSettled, type LaneEntry, type LaneWindow } from './lane-window.ts';
import { takeAnswersAhead } from './late-answers.ts';
import { roomToSend } from './scheduling.ts';
import {
  endpointLaneFor,
  hold,
  isFull,
  markUnwritten,
  roomToQueue,
  type EngineState,
} from './state.ts';
import { enqueue } from './transitions.ts';

/** An event read from the log, with the endpoints that match it behind the barrier. */
export interface MatchedEvent {
  readonly event: LogEvent;
  readonly endpoints: readonly EndpointView[];
}

/** Events of one lane, gapless and in order. */
export interface MatchedSlice {
  readonly lane: number;
  readonly epoch: number;
  readonly events: readonly MatchedEvent[];
}

/** How fast what is expected of an event falls again after one that made many deliveries. */
const FAN_OUT_WEIGHT = 0.1;

/** Says what to read next: lanes that have room, each from where its window stands. */
export function readRequests(state: EngineState): ReadRequest[] {
  const { limits } = state.options;
  const toQueue = Math.min(roomToQueue(state), roomToSend(state));
  if (isFull(state) || toQueue <= 0 || state.unrecorded >= limits.maxUnrecorded) return [];
  const windows = [...state.windows.values()].filter(({ phase, entries }) => {
    return phase === 'owned' && entries.length < limits.maxWindowEvents;
  });
  // Shared by the lanes: what one of them has not, the others read next time.
  const share = Math.floor(toQueue / state.fanOut / windows.length);
  const most = Math.min(limits.maxReadEvents, Math.max(1, share));
  return windows.map(({ lane, epoch, readPosition, readMark, entries }) => {
    const limit = Math.min(most, limits.maxWindowEvents - entries.length);
    return { lane, epoch, after: readPosition, mark: readMark, limit };
  });
}

/**
 * Takes in what was read, the lanes that hold the least first. A slice that does not go on where its
 * window stands is dropped; what there is no room for is read again.
 */
export function takeSlices(state: EngineState, slices: readonly MatchedSlice[], now: Now): void {
  const heldBy = ({ lane }: MatchedSlice) => state.windows.get(lane)?.entries.length ?? 0;
  const inTurn = slices.toSorted((one, other) => heldBy(one) - heldBy(other));
  for (const slice of inTurn) takeSlice(state, slice, now);
}

function takeSlice(state: EngineState, slice: MatchedSlice, now: Now): void {
  const window = state.windows.get(slice.lane);
  if (window === undefined || window.epoch !== slice.epoch || window.phase !== 'owned') return;
  for (const matched of slice.events) {
    // Each event may have thousands of endpoints.
    if (matched.event.position !== window.readPosition + 1) return;
    if (isFull(state) || roomToQueue(state) <= 0) return;
    takeEvent(state, { window, matched }, now);
    window.readPosition = matched.event.position;
    window.readMark = { id: matched.event.id, offset: matched.event.offset };
    if (window.behindSinceMs === Infinity) window.behindSinceMs = now.monotonicMs;
  }
}

interface Taken {
  readonly window: LaneWindow;
  readonly matched: MatchedEvent;
}

function takeEvent(state: EngineState, { window, matched }: Taken, now: Now): void {
  const { event } = matched;
  const deliveries: Delivery[] = [];
  const entry: LaneEntry = {
    position: event.position,
    before: window.readMark,
    deliveries,
    open: 0,
    readAtMs: now.monotonicMs,
  };
  for (const { endpointId } of matched.endpoints) {
    if (wasSettled(window, event, endpointId)) continue;
    const endpointLane = endpointLaneFor(state, endpointId, window);
    if (isLeftOut(state, endpointLane, event.position)) continue;
    const delivery = createDelivery({ event, endpointLane, entry }, now);
    deliveries.push(delivery);
    entry.open += 1;
    hold(state, delivery);
    if (admit(endpointLane, delivery)) enqueue(state, delivery);
    else if (delivery.state === 'deferred') markUnwritten(window, now);
  }
  const usual = state.fanOut + (deliveries.length - state.fanOut) * FAN_OUT_WEIGHT;
  state.fanOut = Math.max(1, deliveries.length, usual);
  // Without deliveries it holds up nothing, unless something before it does.
  if (deliveries.length > 0) window.entries.push(entry);
  if (window.answersAhead.size > 0) takeAnswersAhead(state, { window, entry }, now);
}

/** Says whether it stands behind the endpoint's cursor in the lane, or has to from now on. */
function isLeftOut(state: EngineState, endpointLane: EndpointLane, position: number): boolean {
  const { cursor, window } = endpointLane;
  if (cursor !== undefined) return position > cursor.position;
  // What a predecessor settled would be sent again: what is behind a cursor is not known any more.
  if (position <= window.settledAheadTo || !mustKeepCursor(state, endpointLane)) return false;
  moveCursor(endpointLane, { position: position - 1, mark: window.readMark });
  return true;
}

/** Where a delivery belongs. */
export interface Place {
  readonly event: LogEvent;
  readonly endpointLane: EndpointLane;
  readonly entry: LaneEntry;
}

export function createDelivery({ event, endpointLane, entry }: Place, now: Now): Delivery {
  return {
    event,
    endpointLane,
    ordered: true,
    state: 'queued',
    attempt: 0,
    isUnanswered: false,
    entry,
    behind: undefined,
    origin: undefined,
    startedAtMs: 0,
    revision: 0,
    notBeforeMs: now.wallMs,
  };
}
