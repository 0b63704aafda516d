import type { Now } from './effect.ts';
import { createEndpointLane } from './endpoint-lane.ts';
import {
  createLaneWindow,
  hasUnwritten,
  type LanePhase,
  type LaneStart,
  type LaneWindow,
} from './lane-window.ts';
import { dequeue, endpointOf, forgetIfIdle, lag, letGo, type EngineState } from './state.ts';
import { unclaim } from './claiming.ts';

/** A lane that was taken over, with how many rows of which endpoint are parked in it. */
export interface GainedLane extends LaneStart {
  readonly parked: Iterable<{
    readonly endpointId: string;
    readonly rows: number;
    readonly nextDueAtMs: number | undefined;
  }>;
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
    endpoint.lanes.set(gained.lane, endpointLane);
    if (nextDueAtMs !== undefined) state.dueTimes.note(endpointLane, nextDueAtMs);
    if (endpoint.view === undefined) window.cancelEndpoints.add(endpointId);
    else window.catchingUp.add(endpointLane);
  }
  if (hasUnwritten(window)) window.unwrittenSinceMs = now.monotonicMs;
}

/** Forgets a lane that another process may own. What is in flight is answered to nobody. */
export function dropLane(state: EngineState, window: LaneWindow): void {
  if (state.windows.get(window.lane) === window) state.windows.delete(window.lane);
  state.unrecorded -= window.attempts.length;
  window.phase = 'lost';
  for (const endpoint of state.endpoints.values()) {
    const endpointLane = endpoint.lanes.get(window.lane);
    if (endpointLane?.window !== window) continue;
    endpoint.lanes.delete(window.lane);
    endpoint.dueLanes.delete(endpointLane);
    state.dueTimes.forget(endpointLane);
    for (const delivery of endpointLane.claimed.values()) {
      if (delivery.state !== 'queued') continue;
      delivery.state = 'parked';
      dequeue(state, endpoint);
      letGo(state, delivery);
    }
  }
  for (const { deliveries } of window.entries) {
    for (const delivery of deliveries) {
      if (delivery.state === 'settled' || delivery.state === 'in_flight') continue;
      if (delivery.state === 'queued') dequeue(state, delivery.endpointLane.endpoint);
      delivery.state = 'parked';
      letGo(state, delivery);
    }
  }
  for (const endpoint of state.endpoints.values()) forgetIfIdle(state, endpoint);
}

/** Stops reading and sending a lane; it is given up once all of it is recorded. */
export function endLane(
  state: EngineState,
  lane: number,
  { phase, now }: { readonly phase: LanePhase & ('draining' | 'handing_over'); readonly now: Now },
): void {
  const window = state.windows.get(lane);
  if (window === undefined || window.phase === 'handing_over') return;
  window.phase = phase;
  // The next owner sees to these.
  window.catchingUp.clear();
  window.cancelEndpoints.clear();
  for (const endpoint of state.endpoints.values()) {
    const endpointLane = endpoint.lanes.get(lane);
    if (endpointLane?.window !== window) continue;
    lag(state, endpointLane, now);
    unclaim(state, endpointLane, now);
  }
  if (window.readPosition > window.progress) window.behindSinceMs = -Infinity;
}

/** Gives up the lanes that are to be given up and of which nothing is left to write. */
export function releaseFinished(state: EngineState): void {
  if (state.recordingUnderWay) return;
  for (const window of state.windows.values()) {
    if (window.phase === 'owned' || !isFinished(state, window)) continue;
    state.effects.push({ kind: 'release', lane: window.lane, epoch: window.epoch });
    dropLane(state, window);
  }
}

function isFinished(state: EngineState, window: LaneWindow): boolean {
  if (window.readPosition > window.progress || hasUnwritten(window)) return false;
  if (window.phase === 'handing_over') return true;
  for (const endpoint of state.endpoints.values()) {
    const endpointLane = endpoint.lanes.get(window.lane);
    if (endpointLane?.window === window && endpointLane.claimed.size > 0) return false;
  }
  return true;
}
