import { isLaneCrowded, isResting, mostRows, moveCursor, refillSoon } from './cursors.ts';
import { defer } from './delivery.ts';
import type { Now, Refill } from './effect.ts';
import type { EndpointLane } from './endpoint-lane.ts';
import { isCallable } from './endpoint.ts';
import { makeEntry, wasSettled, type EventMark, type LaneWindow } from './lane-window.ts';
import { createDelivery, type MatchedEvent } from './matching.ts';
import { findEndpointLane, hold, isFull, markUnwritten, type EngineState } from './state.ts';

/**
 * A cursor stands where an endpoint that lags has so many rows in a lane that no further ones are made.
 * What is behind it is read from the log again when there is room:
 *
 * - Nothing behind the cursor is a row or in memory. It is written in a transaction no later than the
 *   one that moves progress past it.
 * - Rows are made, and the cursor moved, in one transaction. None lies above progress.
 * - It is read only once progress has reached the cursor: then all that is older is a row or settled,
 *   and the database sees which of the new rows wait behind it.
 * - What is above progress comes into memory like any event that was just read. With the last event that
 *   was read, nothing is left out any more, and the cursor ends.
 */

/** Ids to share a reading with are looked for among so many. */
const LOOK_AT_MOST = 1_000;
/**
 * In a lane that has all the rows it may, so many are made of an endpoint that is only probed: it can be
 * probed when one of them is due, and each that fails waits longer for its next attempt. Once the lane has the
 * most there are, one has to do: there may be thousands of such endpoints.
 */
const PROBE_ROWS = 8;
/** What may be read of a lane while the log is read again for it. */
const READ_MEANWHILE = 256;

/** Asks for what is behind cursors, where there is room for it: in each lane for those nearby. */
export function refillDue(state: EngineState): void {
  if (state.refillsUnderWay > 0 || state.refillable.size === 0 || isFull(state)) return;
  const { maxRefills, maxUnrecorded } = state.options.limits;
  if (state.unrecorded >= maxUnrecorded) return;
  const refills = new Map<LaneWindow, Refill>();
  for (const window of state.refillable) {
    if (refills.size >= maxRefills) break;
    // What one refill brought is to be handed over first: nobody knows how long a recording takes.
    if (window.refillFrom > window.draftedProgress || window.refilledRows.length > 0) continue;
    const refill = refillOf(state, window);
    if (refill !== undefined) refills.set(window, refill);
  }
  if (refills.size === 0) return;
  for (const window of refills.keys()) {
    state.refillable.delete(window);
    if (window.refillable.size > 0) state.refillable.add(window);
  }
  state.refillsUnderWay = refills.size;
  state.effects.push({ kind: 'refill', refills: [...refills.values()] });
}

/** Chooses whom to refill in a lane; undefined when there is nobody yet. */
function refillOf(state: EngineState, window: LaneWindow): Refill | undefined {
  let refillFrom = Infinity;
  for (const endpointLane of window.refillable) {
    const { cursor } = endpointLane;
    if (cursor === undefined || !mayRefill(state, endpointLane)) {
      // Whoever changes that lets it be looked at again.
      window.refillable.delete(endpointLane);
      if (cursor !== undefined && isLaneCrowded(state, window)) window.crowdedOut.add(endpointLane);
    } else if (cursor.position <= window.draftedProgress) {
      return createRefill(state, endpointLane, cursor);
    } else {
      refillFrom = Math.min(refillFrom, cursor.position);
    }
  }
  window.refillFrom = refillFrom;
  if (window.refillable.size === 0) state.refillable.delete(window);
  return undefined;
}

/** Rows of a lane have gone: those are looked at again for whom it had too many. */
export function lookAgain(state: EngineState, window: LaneWindow): void {
  if (window.crowdedOut.size === 0 || isLaneCrowded(state, window)) return;
  for (const endpointLane of window.crowdedOut) refillSoon(state, endpointLane);
  window.crowdedOut.clear();
}

/** Says whether an endpoint that keeps a cursor in a lane may get rows of what is behind it. */
export function mayRefill(state: EngineState, endpointLane: EndpointLane): boolean {
  const { rowCount, window, endpoint } = endpointLane;
  const { limits } = state.options;
  if (window.phase !== 'owned' || !isCallable(endpoint)) return false;
  const few = limits.refillAtPart * limits.maxRowsPerEndpointLane;
  const isLow = rowCount <= few || isResting(state, endpointLane);
  return isLow && (window.rowTotal < limits.maxRowsPerLane || rowCount === 0);
}

type Cursor = NonNullable<EndpointLane['cursor']>;

function createRefill(state: EngineState, first: EndpointLane, { position, mark }: Cursor): Refill {
  const { window } = first;
  const { maxRefillEvents, maxRefillEndpoints, maxWindowEvents } = state.options.limits;
  const endpointIds = new Set<string>();
  let looked = 0;
  for (const other of window.refillable) {
    if (looked >= LOOK_AT_MOST || endpointIds.size >= maxRefillEndpoints) break;
    looked += 1;
    if (other.cursor === undefined) continue;
    const ahead = other.cursor.position - position;
    const isNear = ahead >= 0 && ahead < maxRefillEvents;
    if (other === first || (isNear && mayRefill(state, other))) endpointIds.add(other.endpoint.id);
  }
  for (const endpointId of endpointIds) {
    const endpointLane = findEndpointLane(state, endpointId, window);
    if (endpointLane !== undefined) window.refillable.delete(endpointLane);
  }
  // Near the end all that was read is wanted at once: then nothing is left out any more.
  const untilRead = window.readPosition - position;
  const isNearEnd = untilRead <= maxRefillEvents + maxWindowEvents;
  const limit = isNearEnd ? Math.max(maxRefillEvents, untilRead + READ_MEANWHILE) : maxRefillEvents;
  return { lane: window.lane, epoch: window.epoch, after: position, mark, limit, endpointIds };
}

/** What was read again for a refill; nothing, when the log could not be read. */
export interface Refilled {
  readonly refill: Refill;
  /** Gapless and in order from the cursor on, each with those of the endpoints that it matches. */
  readonly events: readonly MatchedEvent[];
}

/** Takes in what was read again, as far as there is room for it. */
export function takeRefilled(state: EngineState, { refill, events }: Refilled, now: Now): void {
  const window = state.windows.get(refill.lane);
  if (window?.phase !== 'owned' || window.epoch !== refill.epoch) return;
  const refilled = new Map<string, EndpointLane>();
  for (const endpointId of refill.endpointIds) {
    const endpointLane = findEndpointLane(state, endpointId, window);
    if (endpointLane?.cursor === undefined) continue;
    refillSoon(state, endpointLane);
    if (endpointLane.cursor.position <= window.draftedProgress) {
      refilled.set(endpointId, endpointLane);
    }
  }
  const last = takeEvents(state, { window, refill, events, refilled }, now);
  if (last === undefined) return;
  for (const endpointLane of refilled.values()) moveOn(endpointLane, last);
  markUnwritten(window, now);
}

/** An event that was read again. */
interface Reached extends EventMark {
  readonly position: number;
}

/** Moves a cursor on to an event; with the last one that was read it ends. */
function moveOn(endpointLane: EndpointLane, reached: Reached): void {
  const { cursor, window } = endpointLane;
  const { position } = reached;
  if (cursor === undefined || cursor.position >= position) return;
  if (position === window.readPosition) {
    moveCursor(endpointLane, undefined);
    window.refillable.delete(endpointLane);
    window.catchingUp.add(endpointLane);
  } else {
    moveCursor(endpointLane, { position, mark: reached });
  }
}

interface Taking extends Refilled {
  readonly window: LaneWindow;
  /** Whoever has got enough is taken out. */
  readonly refilled: Map<string, EndpointLane>;
}

/** Returns the last event that was taken in. */
function takeEvents(
  state: EngineState,
  { window, refill, events, refilled }: Taking,
  now: Now,
): Reached | undefined {
  const { maxRefillRows } = state.options.limits;
  let taken = 0;
  let before = refill.mark;
  let last: Reached | undefined;
  const probeRows = new Map<EndpointLane, number>();
  for (const { event, endpoints } of events) {
    if (event.position > window.readPosition || taken >= maxRefillRows || isFull(state)) break;
    const { position, id, offset } = event;
    last = { position, id, offset };
    for (const { endpointId } of endpoints) {
      const endpointLane = refilled.get(endpointId);
      if (endpointLane?.cursor === undefined) continue;
      if (event.position <= endpointLane.cursor.position) continue;
      taken += 1;
      if (event.position <= window.draftedProgress) makeRow(state, { endpointLane, event }, now);
      else takeDeferred(state, { endpointLane, event, before }, now);
      if (!isOnlyProbed(state, endpointLane)) continue;
      const rows = (probeRows.get(endpointLane) ?? 0) + 1;
      probeRows.set(endpointLane, rows);
      if (rows < probeRowsIn(state, window)) continue;
      moveOn(endpointLane, last);
      refilled.delete(endpointId);
    }
    before = { id, offset };
  }
  return last;
}

/** Says whether the endpoint gets rows although its lane has all that it may, to be probed with them. */
function isOnlyProbed(state: EngineState, { endpoint, window }: EndpointLane): boolean {
  const isFullLane = window.rowTotal >= state.options.limits.maxRowsPerLane;
  return isFullLane && endpoint.circuit.state === 'half_open';
}

function probeRowsIn(state: EngineState, { rowTotal, refilledRows }: LaneWindow): number {
  return rowTotal + refilledRows.length < mostRows(state) ? PROBE_ROWS : 1;
}

interface Place extends Pick<MatchedEvent, 'event'> {
  readonly endpointLane: EndpointLane;
}

function makeRow(state: EngineState, { endpointLane, event }: Place, now: Now): void {
  const { window, endpoint } = endpointLane;
  const row = { event, endpointId: endpoint.id, attempt: 0 };
  if (now.wallMs - event.recordedAtMs > state.options.retentionMs) {
    window.attempts.push({
      ...row,
      startedAtMs: now.wallMs,
      revision: 0,
      outcome: undefined,
      reason: 'waited too long',
      settlement: 'dead',
    });
    state.unrecorded += 1;
    return;
  }
  window.refilledRows.push({ ...row, inFlight: false, notBeforeMs: now.wallMs, ordered: true });
}

/** It becomes a row when progress passes it, like anything new of an endpoint that lags. */
function takeDeferred(
  state: EngineState,
  { endpointLane, event, before }: Place & { readonly before: EventMark | undefined },
  now: Now,
): void {
  const { window, endpoint } = endpointLane;
  if (wasSettled(window, event, endpoint.id)) return;
  const entry = makeEntry(window, event.position, { before, readAtMs: now.monotonicMs });
  const delivery = createDelivery({ event, endpointLane, entry }, now);
  defer(delivery, now.wallMs);
  entry.deliveries.push(delivery);
  entry.open += 1;
  hold(state, delivery);
}
