import type { Delivery } from './delivery.ts';
import type { Claim, ClaimedRow, ClaimResult, Now } from './effect.ts';
import { addClaimed, type EndpointLane } from './endpoint-lane.ts';
import { isCallable, type Endpoint } from './endpoint.ts';
import { isExpiring } from './expiring.ts';
import {
  cancel,
  enqueue,
  hold,
  isFull,
  leaveToRow,
  settleUnsent,
  type EngineState,
} from './state.ts';

/** Asks for rows that are due, of endpoints that may be called and have room in their queue. */
export function claimDue(state: EngineState, now: Now): void {
  for (const endpointLane of state.dueTimes.takeDue(now.wallMs)) noteDue(state, endpointLane);
  if (state.claimUnderWay || state.claimable.size === 0) return;
  if (isFull(state) || isExpiring(state)) return;
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

/** Returns how many rows it will bring, as far as their number is known. */
function claimOf(state: EngineState, endpoint: Endpoint, claims: Claim[]): number {
  const { limits } = state.options;
  let rows = 0;
  if (!isCallable(endpoint)) return rows;
  if (endpoint.circuit.state === 'half_open') return claimProbe(endpoint, claims);
  let room = limits.maxClaimedPerEndpoint - endpoint.queued - endpoint.following;
  for (const endpointLane of endpoint.dueLanes) {
    if (endpointLane.window.phase !== 'owned') {
      endpoint.dueLanes.delete(endpointLane);
      continue;
    }
    // Below half of the queue it pays to ask; a claim for each free place would not.
    if (room < limits.maxClaimedPerEndpoint / 2) return rows;
    endpoint.dueLanes.delete(endpointLane);
    claims.push({ endpointLane, limit: room });
    const expected = Math.max(1, Math.min(room, endpointLane.rowCount));
    rows += expected;
    room -= expected;
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
  takeRows(state, { endpointLane, rows }, now);
  if (rows.length >= limit) noteDue(state, endpointLane);
  else if (nextDueAtMs !== undefined) state.dueTimes.note(endpointLane, nextDueAtMs);
}

interface Claimed {
  readonly endpointLane: EndpointLane;
  readonly rows: readonly ClaimedRow[];
}

/** Takes up the rows that may be sent, each with those that follow it, and then queues them. */
function takeRows(state: EngineState, { endpointLane, rows }: Claimed, now: Now): void {
  const heads: Delivery[] = [];
  let last: Delivery | undefined;
  for (const row of rows) {
    if (row.follows && last === undefined) continue;
    const delivery = isKnown(endpointLane, row) ? undefined : createClaimed(endpointLane, row);
    if (delivery === undefined || !mayTake(state, delivery)) {
      // What follows it waits on as a row.
      last = undefined;
      continue;
    }
    addClaimed(endpointLane, delivery);
    hold(state, delivery);
    if (row.follows && last !== undefined) follow(last, delivery);
    else heads.push(delivery);
    last = delivery;
  }
  for (const head of heads) {
    for (let each: Delivery | undefined = head; each !== undefined; each = each.behind) {
      endIfOver(state, each, now);
    }
    if (head.state === 'parked') enqueue(state, head);
  }
}

/**
 * It is claimed already, or in memory: then somebody else, who has the lane now, has made a row of it. Only
 * what is sent again by hand may lie above progress.
 */
function isKnown({ claimed, window }: EndpointLane, { event, ordered }: ClaimedRow): boolean {
  return (
    claimed?.has(event.position) === true || (ordered && event.position > window.draftedProgress)
  );
}

function follow(last: Delivery, delivery: Delivery): void {
  last.behind = delivery;
  delivery.state = 'waiting';
  delivery.endpointLane.endpoint.following += 1;
}

function createClaimed(endpointLane: EndpointLane, row: ClaimedRow): Delivery {
  return {
    event: row.event,
    endpointLane,
    ordered: row.ordered,
    state: 'parked',
    attempt: row.attempt,
    isUnanswered: row.inFlight,
    entry: undefined,
    behind: undefined,
    origin: undefined,
    startedAtMs: 0,
    revision: 0,
    notBeforeMs: 0,
  };
}

/** One that is not to be sent any more may be taken up in any case: it ends. */
function mayTake(state: EngineState, delivery: Delivery): boolean {
  return isCallable(delivery.endpointLane.endpoint) || isCancelled(state, delivery);
}

function isCancelled({ options }: EngineState, { endpointLane, event }: Delivery): boolean {
  const { view } = endpointLane.endpoint;
  return view === undefined || !options.matches(view, event);
}

/** Each row is judged again before it is sent. */
function endIfOver(state: EngineState, delivery: Delivery, now: Now): void {
  const { event, ordered } = delivery;
  if (isCancelled(state, delivery)) {
    cancel(state, delivery, now);
  } else if (ordered && now.wallMs - event.recordedAtMs > state.options.retentionMs) {
    settleUnsent(state, delivery, { settlement: 'dead', reason: 'waited too long', now });
  }
}

/** Leaves claimed rows that were not sent yet to the database again. */
export function unclaim(state: EngineState, endpointLane: EndpointLane, now: Now): void {
  for (const delivery of endpointLane.claimed?.values() ?? []) {
    if (delivery.state !== 'queued' && delivery.state !== 'waiting') continue;
    leaveToRow(state, delivery);
    state.dueTimes.note(endpointLane, now.wallMs);
  }
}
