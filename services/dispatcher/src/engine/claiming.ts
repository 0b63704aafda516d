import type { Delivery } from './delivery.ts';
import type { Claim, ClaimedRow, ClaimResult, Now } from './effect.ts';
import type { EndpointLane } from './endpoint-lane.ts';
import { isCallable, type Endpoint } from './endpoint.ts';
import { dequeue, enqueue, hold, isFull, letGo, settleUnsent, type EngineState } from './state.ts';

/** Asks for rows that are due, of endpoints that may be called and have room in their queue. */
export function claimDue(state: EngineState, now: Now): void {
  for (const endpointLane of state.dueTimes.takeDue(now.wallMs)) noteDue(state, endpointLane);
  if (state.claimUnderWay || state.claimable.size === 0) return;
  if (isFull(state)) return;
  const { maxClaims, maxClaimedRows } = state.options.limits;
  const claims: Claim[] = [];
  let rows = 0;
  for (const endpoint of state.claimable) {
    state.claimable.delete(endpoint);
    rows += claimOf(state, endpoint, claims);
    if (claims.length >= maxClaims || rows >= maxClaimedRows) break;
  }
  if (claims.length === 0) return;
  state.claimUnderWay = true;
  state.effects.push({ kind: 'claim', claims });
}

function noteDue(state: EngineState, endpointLane: EndpointLane): void {
  if (endpointLane.window.phase === 'lost') return;
  endpointLane.endpoint.dueLanes.add(endpointLane);
  state.claimable.add(endpointLane.endpoint);
}

/** Returns how many rows it asks for at most. */
function claimOf(state: EngineState, endpoint: Endpoint, claims: Claim[]): number {
  const { limits } = state.options;
  let rows = 0;
  if (!isCallable(endpoint)) return rows;
  if (endpoint.circuit.state === 'half_open') return claimProbe(endpoint, claims);
  let room = limits.maxClaimedPerEndpoint - endpoint.queued;
  for (const endpointLane of endpoint.dueLanes) {
    if (endpointLane.window.phase !== 'owned') {
      endpoint.dueLanes.delete(endpointLane);
      continue;
    }
    // Below half of the queue it pays to ask; a claim for each free place would not.
    if (room < limits.maxClaimedPerEndpoint / 2) return rows;
    endpoint.dueLanes.delete(endpointLane);
    claims.push({ endpointLane, limit: room });
    rows += room;
    room -= Math.max(1, Math.min(room, endpointLane.rowCount));
  }
  return rows;
}

/** One row, to see whether the endpoint works again. */
function claimProbe(endpoint: Endpoint, claims: Claim[]): number {
  if (endpoint.queued > 0 || endpoint.inFlight > 0) return 0;
  for (const endpointLane of endpoint.dueLanes) {
    endpoint.dueLanes.delete(endpointLane);
    if (endpointLane.window.phase !== 'owned') continue;
    claims.push({ endpointLane, limit: 1 });
    return 1;
  }
  return 0;
}

/** Takes in rows that were due. Each is judged again before it is sent. */
export function takeClaimed(
  state: EngineState,
  { claim, rows, nextDueAtMs }: ClaimResult,
  now: Now,
): void {
  const { endpointLane, limit } = claim;
  // It may have brought less than there is room for, while rows of other lanes are due.
  if (endpointLane.endpoint.dueLanes.size > 0) state.claimable.add(endpointLane.endpoint);
  if (endpointLane.window.phase !== 'owned') return;
  for (const row of rows) takeRow(state, { endpointLane, row }, now);
  if (rows.length >= limit) noteDue(state, endpointLane);
  else if (nextDueAtMs !== undefined) state.dueTimes.note(endpointLane, nextDueAtMs);
}

interface Claimed {
  readonly endpointLane: EndpointLane;
  readonly row: ClaimedRow;
}

function takeRow(state: EngineState, { endpointLane, row }: Claimed, now: Now): void {
  const { endpoint, claimed } = endpointLane;
  const { options } = state;
  if (claimed.has(row.event.position)) return;
  const delivery: Delivery = {
    event: row.event,
    endpointLane,
    ordered: row.ordered,
    state: 'parked',
    attempt: row.attempt,
    isUnanswered: row.inFlight,
    entry: undefined,
    origin: undefined,
    startedAtMs: 0,
    revision: 0,
    notBeforeMs: 0,
  };
  const { view } = endpoint;
  const isCancelled = view === undefined || !options.matches(view, row.event);
  if (!isCancelled && !isCallable(endpoint)) return;
  claimed.set(row.event.position, delivery);
  hold(state, delivery);
  if (isCancelled) {
    settleUnsent(state, delivery, { settlement: 'cancelled', reason: 'unregistered', now });
  } else if (row.ordered && now.wallMs - row.event.recordedAtMs > options.retentionMs) {
    settleUnsent(state, delivery, { settlement: 'dead', reason: 'waited too long', now });
  } else {
    enqueue(state, delivery);
  }
}

/** Leaves claimed rows that were not sent yet to the database again. */
export function unclaim(state: EngineState, endpointLane: EndpointLane, now: Now): void {
  for (const [position, delivery] of endpointLane.claimed) {
    if (delivery.state !== 'queued') continue;
    delivery.state = 'parked';
    dequeue(state, endpointLane.endpoint);
    endpointLane.claimed.delete(position);
    letGo(state, delivery);
    state.dueTimes.note(endpointLane, now.wallMs);
  }
}
