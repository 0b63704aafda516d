import { draftLane } from './drafting.ts';
import { refillSoon, setRowCount } from './cursors.ts';
import type { Delivery } from './delivery.ts';
import type { Now, OwnerRequest } from './effect.ts';
import { removeClaimed, stopLagging, type EndpointLane } from './endpoint-lane.ts';
import { isSound } from './endpoint.ts';
import { endpointsToExpire } from './expiring.ts';
import { dropLane, leaveAnswers } from './lanes.ts';
import { forgetUpTo, hasUnwritten, type LaneWindow } from './lane-window.ts';
import type { LaneRecorded, LaneRecording, Recording } from './recording.ts';
import { lookAgain } from './refilling.ts';
import {
  blockedPairsLeft,
  endpointLaneOf,
  findEndpointLane,
  forgetIfIdle,
  markUnwritten,
  type EngineState,
} from './state.ts';
import { lag, park } from './transitions.ts';

/** When the next recording should begin, monotonic clock; Infinity when nothing is to be written. */
export function recordAtMs(state: EngineState): number {
  if (state.recordingUnderWay) return Infinity;
  const { limits } = state.options;
  if (state.unrecorded >= limits.recordAtAttempts) return -Infinity;
  let atMs = Infinity;
  for (const window of state.windows.values()) {
    atMs = Math.min(
      atMs,
      window.unwrittenSinceMs + limits.recordAfterMs,
      window.behindSinceMs + limits.parkAfterMs,
    );
  }
  return atMs;
}

/** Hands over what is to be written, of all lanes at once, when it is time. */
export function recordDue(state: EngineState, now: Now): void {
  if (recordAtMs(state) > now.monotonicMs) return;
  const { limits, deliveryTimeoutMs, retentionMs } = state.options;
  const rules = {
    now,
    parkAfterMs: limits.parkAfterMs,
    maxBlockedPairs: limits.maxBlockedPairs,
    blockedPairsLeft: blockedPairsLeft(state),
    maxListed: limits.maxListed,
    deliveryTimeoutMs,
    retentionMs,
  };
  const lanes: LaneRecording[] = [];
  for (const window of state.windows.values()) {
    if (!isWritable(window, now, limits.parkAfterMs)) continue;
    const expireEndpoints = endpointsToExpire(state, window);
    if (expireEndpoints.length > 0) state.expiryUnderWay = true;
    const { recording, parked } = draftLane(window, { ...rules, expireEndpoints });
    for (const delivery of parked) forget(state, delivery, now);
    window.behindSinceMs = window.entries[0]?.readAtMs ?? Infinity;
    lanes.push(recording);
  }
  state.unrecorded = 0;
  if (lanes.length === 0) return;
  state.recordingUnderWay = true;
  state.recordingNumber += 1;
  state.effects.push({
    kind: 'record',
    recording: { number: state.recordingNumber, lanes },
  });
}

function isWritable(window: LaneWindow, now: Now, parkAfterMs: number): boolean {
  return (
    hasUnwritten(window) ||
    window.phase !== 'owned' ||
    window.unwrittenSinceMs !== Infinity ||
    now.monotonicMs - window.behindSinceMs >= parkAfterMs
  );
}

/** Leaves a delivery to its row, unless its answer is still to come. */
function forget(state: EngineState, delivery: Delivery, now: Now): void {
  const { endpointLane } = delivery;
  const wasQueued = delivery.state === 'queued';
  if (delivery.state !== 'in_flight') park(state, delivery);
  delivery.entry = undefined;
  // Queued for so long: its endpoint takes less than comes in.
  const isSlow = wasQueued && endpointLane.window.phase === 'owned';
  if (isSlow || hasManyRows(state, endpointLane)) lag(state, endpointLane, now);
}

/** Says whether more rows of an endpoint in a lane are blocked, or waiting, than are to be known. */
function hasManyRows(state: EngineState, { blockedPairs, rowCount }: EndpointLane): boolean {
  const { maxBlockedPairs, maxRowsPerEndpointLane } = state.options.limits;
  const hasMany = blockedPairs > maxBlockedPairs || rowCount >= maxRowsPerEndpointLane;
  return hasMany || (blockedPairs > 0 && blockedPairsLeft(state) < 0);
}

/** Takes in that a recording was committed, lane by lane, or refused by a lane's fence. */
export function takeRecorded(
  state: EngineState,
  recording: Recording,
  { results, now }: { readonly results: readonly LaneRecorded[]; readonly now: Now },
): void {
  state.recordingUnderWay = false;
  state.expiryUnderWay = false;
  for (const result of results) {
    const written = recording.lanes.find(({ lane }) => lane === result.lane);
    if (result.kind === 'refused') leaveAnswers(state, written?.attempts ?? []);
    const window = state.windows.get(result.lane);
    if (written === undefined || window === undefined || window.epoch !== written.epoch) continue;
    if (result.kind === 'refused') {
      state.effects.push({ kind: 'lost', lane: window.lane, epoch: window.epoch });
      dropLane(state, window);
      continue;
    }
    takeLaneRecorded(state, { window, written, result }, now);
  }
}

interface LaneWritten {
  readonly window: LaneWindow;
  readonly written: LaneRecording;
  readonly result: LaneRecorded & { readonly kind: 'recorded' };
}

function takeLaneRecorded(state: EngineState, lane: LaneWritten, now: Now): void {
  const { window, written } = lane;
  window.progress = written.progress;
  forgetUpTo(window, written.progress);
  if (window.readPosition > window.progress && window.behindSinceMs === Infinity) {
    window.behindSinceMs = now.monotonicMs;
  }
  countRows(state, lane, now);
  for (const { endpointId, rows } of lane.result.listed) {
    // It may have been unregistered, and forgotten, since its rows were listed.
    const endpointLane = findEndpointLane(state, endpointId, window);
    if (endpointLane?.mode !== 'lagging' || !isSound(endpointLane.endpoint)) continue;
    if (endpointLane.cursor !== undefined) continue;
    if (rows.length > Math.max(0, blockedPairsLeft(state))) continue;
    stopLagging(endpointLane, rows);
    for (const { dueAtMs } of rows) {
      if (dueAtMs !== undefined) state.dueTimes.note(endpointLane, dueAtMs);
    }
  }
}

/** Keeps count of parked rows, and of when they may be due. */
function countRows(state: EngineState, { window, written, result }: LaneWritten, now: Now): void {
  const touched = new Set<EndpointLane>();
  const touch = (endpointId: string): EndpointLane => {
    const endpointLane = endpointLaneOf(state, endpointId, window);
    touched.add(endpointLane);
    return endpointLane;
  };
  for (const { endpointId, position } of written.settledRows) {
    const endpointLane = touch(endpointId);
    removeClaimed(endpointLane, position);
    setRowCount(endpointLane, endpointLane.rowCount - 1);
    // The next one of its pair may be due now.
    if (endpointLane.rowCount > 0) state.dueTimes.note(endpointLane, now.wallMs);
  }
  for (const { endpointId, position, notBeforeMs, inFlight } of written.retriedRows) {
    const endpointLane = touch(endpointId);
    if (!inFlight) removeClaimed(endpointLane, position);
    state.dueTimes.note(endpointLane, notBeforeMs);
  }
  for (const { endpointId, notBeforeMs } of written.parkedRows) {
    const endpointLane = touch(endpointId);
    setRowCount(endpointLane, endpointLane.rowCount + 1);
    state.dueTimes.note(endpointLane, notBeforeMs);
  }
  for (const done of written.carriedOut) {
    if (done.kind === 'nothing') continue;
    state.dueTimes.note(touch(done.row.endpointId), now.wallMs);
  }
  for (const { endpointId } of result.revived) {
    const endpointLane = touch(endpointId);
    setRowCount(endpointLane, endpointLane.rowCount + 1);
  }
  for (const { endpointId, rows, isAll } of result.expired) {
    const endpointLane = touch(endpointId);
    setRowCount(endpointLane, endpointLane.rowCount - rows);
    // The next owner of a lane that is given up sees to the rest.
    if (isAll || window.phase !== 'owned') continue;
    window.expireEndpoints.add(endpointId);
    state.expiring.add(window);
  }
  for (const { endpointId, rows, isAll } of result.cancelled) {
    const endpointLane = touch(endpointId);
    // Some may have been settled before, and counted twice.
    setRowCount(endpointLane, isAll ? 0 : Math.max(1, endpointLane.rowCount - rows));
  }
  for (const { endpointId } of written.movedCursors) {
    const endpointLane = findEndpointLane(state, endpointId, window);
    if (endpointLane !== undefined) touched.add(endpointLane);
  }
  for (const endpointLane of touched) reconsider(state, endpointLane, now);
  lookAgain(state, window);
}

/** After its rows have changed: an endpoint may stop lagging, or have rows left that must go. */
function reconsider(state: EngineState, endpointLane: EndpointLane, now: Now): void {
  const { endpoint, window, rowCount } = endpointLane;
  const { maxBlockedPairs } = state.options.limits;
  // Of a lane that is given up, the next owner thinks.
  if (window.phase !== 'owned') return;
  if (endpoint.view === undefined) {
    if (rowCount > 0) window.cancelEndpoints.add(endpoint.id);
    forgetIfIdle(state, endpoint);
  } else if (endpointLane.cursor !== undefined) {
    refillSoon(state, endpointLane);
  } else if (endpointLane.mode === 'lagging' && isSound(endpoint)) {
    // Rows of a refill may still have to be written.
    if (rowCount === 0 && !window.movedCursors.has(endpointLane)) stopLagging(endpointLane, []);
    else if (rowCount <= maxBlockedPairs / 2) window.catchingUp.add(endpointLane);
  }
  if (hasUnwritten(window)) markUnwritten(window, now);
}

/** Takes in what somebody asks of a lane's owner; it is carried out with the next recording. */
export function takeRequest(state: EngineState, request: OwnerRequest, now: Now): void {
  const { requestId, lane, position, endpointId, revive } = request;
  const window = state.windows.get(lane);
  if (window === undefined) return;
  if (state.options.view(endpointId) === undefined) {
    window.carriedOut.push({ kind: 'nothing', requestId });
  } else if (revive === undefined) {
    window.carriedOut.push({ kind: 'retry_now', requestId, row: { position, endpointId } });
  } else {
    // Like any retry by hand, it goes before all that is due.
    const row = { ...revive, endpointId, inFlight: false, notBeforeMs: 0, ordered: false };
    window.carriedOut.push({ kind: 'revive', requestId, row });
  }
  markUnwritten(window, now);
}
