import type { Delivery } from './delivery.ts';
import type { Now, StoredAnswer } from './effect.ts';
import { moveCursor, refillSoon } from './cursors.ts';
import { createEndpointLane, type Cursor } from './endpoint-lane.ts';
import { createLaneWindow, hasUnwritten, type LaneStart, type LaneWindow } from './lane-window.ts';
import { takeLateAnswer } from './late-answers.ts';
import { removeDueLane } from './endpoint.ts';
import type { AttemptRecord } from './recording.ts';
import {
  endpointLaneOf,
  endpointOf,
  forgetIfIdle,
  markUnwritten,
  type EngineState,
} from './state.ts';
import { lag, leaveToRow, park } from './transitions.ts';
import { unclaim } from './claiming.ts';

/** A lane that was taken over, with how many rows of which endpoint are parked in it. */
export interface GainedLane extends LaneStart {
  readonly parked: Iterable<{
    readonly endpointId: string;
    readonly rows: number;
    readonly nextDueAtMs: number | undefined;
  }>;
  /** Endpoints of which something is left out, from where on. */
  readonly cursors: Iterable<{ readonly endpointId: string; readonly cursor: Cursor }>;
  /** What former owners left: it counts before anything is sent again. */
  readonly lateAnswers: Iterable<StoredAnswer>;
}

/** Begins to own a lane. Endpoints with rows in it lag until their pairs are known. */
export function gainLane(state: EngineState, gained: GainedLane, now: Now): void {
  const before = state.windows.get(gained.lane);
  if (before !== undefined) dropLane(state, before);
  const window = createLaneWindow(gained);
  state.windows.set(gained.lane, window);
  for (const { endpointId, rows, nextDueAtMs } of gained.parked) {
    const endpoint = endpointOf(state, endpointId);
    const endpointLane = createEndpointLane(endpoint, window, rows);
    window.endpointLanes.set(endpoint, endpointLane);
    if (nextDueAtMs !== undefined) state.dueTimes.note(endpointLane, nextDueAtMs);
    if (endpoint.view === undefined) window.cancelEndpoints.add(endpointId);
    else window.catchingUp.add(endpointLane);
    window.rowTotal += rows;
  }
  for (const { endpointId, cursor } of gained.cursors)
    gainCursor(state, window, { endpointId, cursor });
  if (hasUnwritten(window)) window.unwrittenSinceMs = now.monotonicMs;
  for (const answer of gained.lateAnswers) takeLateAnswer(state, answer, now);
}

function gainCursor(
  state: EngineState,
  window: LaneWindow,
  { endpointId, cursor }: { readonly endpointId: string; readonly cursor: Cursor },
): void {
  const endpointLane = endpointLaneOf(state, endpointId, window);
  endpointLane.mode = 'lagging';
  endpointLane.cursor = cursor;
  if (endpointLane.endpoint.view === undefined) moveCursor(endpointLane, undefined);
  else refillSoon(state, endpointLane);
}

/** Leaves answers that are not recorded to the new owner of their lane. */
export function leaveAnswers(state: EngineState, attempts: readonly AttemptRecord[]): void {
  for (const { event, endpointId, attempt, startedAtMs, revision, outcome } of attempts) {
    if (outcome === undefined) continue;
    const { lane, position } = event;
    const answer = { lane, position, endpointId, attempt, startedAtMs, revision, outcome };
    state.effects.push({ kind: 'answered_late', answer });
  }
}

/** Forgets a lane that another process may own. Answers that are not recorded are left to it. */
export function dropLane(state: EngineState, window: LaneWindow): void {
  if (state.windows.get(window.lane) === window) state.windows.delete(window.lane);
  state.unrecorded -= window.attempts.length;
  leaveAnswers(state, window.attempts);
  window.phase = 'lost';
  state.expiring.delete(window);
  state.refillable.delete(window);
  for (const [endpoint, endpointLane] of window.endpointLanes) {
    removeDueLane(endpoint, endpointLane);
    state.dueTimes.forget(endpointLane);
    for (const delivery of endpointLane.claimed?.values() ?? []) leaveToRow(state, delivery);
  }
  for (const { deliveries } of window.entries) {
    for (const delivery of deliveries) {
      if (delivery.state === 'settled' || delivery.state === 'in_flight') continue;
      park(state, delivery);
    }
  }
  for (const endpoint of state.endpoints.values()) forgetIfIdle(state, endpoint);
}

/**
 * Stops reading and sending a lane. It is given up once all of it is recorded, and after a while with
 * what is still in flight.
 */
export function endLane(state: EngineState, lane: number, now: Now): void {
  const window = state.windows.get(lane);
  if (window?.phase !== 'owned') return;
  window.phase = 'draining';
  window.handOverAtMs = now.monotonicMs + state.options.limits.handOverAfterMs;
  state.handOverAtMs = Math.min(state.handOverAtMs, window.handOverAtMs);
  // The next owner sees to these.
  window.catchingUp.clear();
  window.cancelEndpoints.clear();
  window.expireEndpoints.clear();
  for (const endpointLane of window.endpointLanes.values()) {
    lag(state, endpointLane, now);
    unclaim(state, endpointLane, now);
  }
  if (window.readPosition > window.progress) window.behindSinceMs = -Infinity;
}

/** Waits no longer for the answers of lanes that are given up. */
export function handOverDue(state: EngineState, now: Now): void {
  if (now.monotonicMs < state.handOverAtMs) return;
  state.handOverAtMs = Infinity;
  for (const window of state.windows.values()) {
    if (window.phase !== 'draining') continue;
    if (now.monotonicMs < window.handOverAtMs) {
      state.handOverAtMs = Math.min(state.handOverAtMs, window.handOverAtMs);
      continue;
    }
    window.phase = 'handing_over';
    for (const delivery of claimedOf(window)) {
      if (delivery.state === 'in_flight') window.leftInFlight.add(delivery);
    }
    if (window.leftInFlight.size > 0) markUnwritten(window, now);
    if (window.readPosition > window.progress) window.behindSinceMs = -Infinity;
  }
}

function* claimedOf({ endpointLanes }: LaneWindow): Generator<Delivery> {
  for (const { claimed } of endpointLanes.values()) yield* claimed?.values() ?? [];
}

/** Gives up the lanes that are to be given up and of which nothing is left to write. */
export function releaseFinished(state: EngineState): void {
  if (state.recordingUnderWay) return;
  for (const window of state.windows.values()) {
    if (window.phase === 'owned' || !isFinished(window)) continue;
    state.effects.push({ kind: 'release', lane: window.lane, epoch: window.epoch });
    dropLane(state, window);
  }
}

function isFinished(window: LaneWindow): boolean {
  if (window.readPosition > window.progress || hasUnwritten(window)) return false;
  return window.phase === 'handing_over' || claimedOf(window).next().done === true;
}
