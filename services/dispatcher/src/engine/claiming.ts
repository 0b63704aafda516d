import { claimLimit, claimsLeft, claimsLeftFor } from './claim-budget.ts';
import { refillSoon } from './cursors.ts';
import type { Delivery } from './delivery.ts';
import type { Claim, ClaimedRow, ClaimResult, Now } from './effect.ts';
import { addClaimed, type EndpointLane } from './endpoint-lane.ts';
import { addDueLane, isCallable, removeDueLane, type Endpoint } from './endpoint.ts';
import { isExpiring } from './expiring.ts';
import { measurePace } from './pace.ts';
import { claimAgain, hold, type EngineState } from './state.ts';
import { cancel, enqueue, follow, leaveToRow, settleUnsent } from './transitions.ts';

/** So many endpoints are looked at for a claim: there may be no room for any of them. */
const LOOK_AT_MOST = 256;

/** Asks for rows that are due, of endpoints that may be called and have room in their queue. */
export function claimDue(state: EngineState, now: Now): void {
  for (const endpointLane of state.dueTimes.takeDue(now.wallMs)) noteDue(state, endpointLane);
  if (state.claimUnderWay || state.claimable.size === 0) return;
  if (claimsLeft(state) <= 0 || isExpiring(state)) return;
  const { maxClaims, maxClaimedRows, maxUnrecorded } = state.options.limits;
  // Rows can still be read while nothing can be written, as when a disk is full.
  if (state.unrecorded >= maxUnrecorded) return;
  const drafted: DraftedClaims = { claims: [], rows: 0 };
  let left = Math.min(state.claimable.size, LOOK_AT_MOST);
  for (const endpoint of state.claimable) {
    if (left <= 0 || drafted.claims.length >= maxClaims || drafted.rows >= maxClaimedRows) break;
    left -= 1;
    state.claimable.delete(endpoint);
    measurePace(endpoint.pace, now.monotonicMs);
    claimOf(state, endpoint, drafted);
  }
  if (drafted.claims.length === 0) return;
  state.claimUnderWay = true;
  state.effects.push({ kind: 'claim', claims: drafted.claims });
}

/** Claims that are to be made together. */
interface DraftedClaims {
  readonly claims: Claim[];
  /** How many rows they will bring, as far as their number is known. */
  rows: number;
}

function noteDue(state: EngineState, endpointLane: EndpointLane): void {
  if (endpointLane.window.phase === 'lost') return;
  addDueLane(endpointLane.endpoint, endpointLane);
  state.claimable.add(endpointLane.endpoint);
}

function claimOf(state: EngineState, endpoint: Endpoint, drafted: DraftedClaims): void {
  if (!isCallable(endpoint)) return;
  if (endpoint.circuit.state === 'half_open') {
    claimProbe(endpoint, drafted);
    return;
  }
  const own = claimLimit(endpoint, state.options.limits);
  // Below half of what it may have it pays to ask; a claim for each free place would not.
  if (endpoint.claimed > own / 2) return;
  const most = Math.min(own, claimsLeftFor(state, endpoint) - drafted.rows);
  let room = most - endpoint.claimed;
  for (const endpointLane of endpoint.dueLanes ?? []) {
    if (endpointLane.window.phase !== 'owned') {
      removeDueLane(endpoint, endpointLane);
      continue;
    }
    if (room < Math.max(1, most / 2)) break;
    removeDueLane(endpoint, endpointLane);
    endpointLane.isBeingClaimed = true;
    drafted.claims.push({ endpointLane, limit: room });
    const expected = Math.max(1, Math.min(room, endpointLane.rowCount));
    drafted.rows += expected;
    room -= expected;
  }
  // Others have so much that there is no room for it: then it is looked at again after them.
  if (most < own) claimAgain(state, endpoint);
}

/** One row, to see whether the endpoint works again. */
function claimProbe(endpoint: Endpoint, drafted: DraftedClaims): void {
  if (endpoint.queued > 0 || endpoint.inFlight > 0) return;
  for (const endpointLane of endpoint.dueLanes ?? []) {
    removeDueLane(endpoint, endpointLane);
    if (endpointLane.window.phase !== 'owned') continue;
    endpointLane.isBeingClaimed = true;
    drafted.claims.push({ endpointLane, limit: 1 });
    drafted.rows += 1;
    return;
  }
}

/** Takes in rows that were due. Each is judged again before it is sent. */
export function takeClaimed(
  state: EngineState,
  { claim, rows, nextDueAtMs }: ClaimResult,
  now: Now,
): void {
  const { endpointLane, limit } = claim;
  endpointLane.isBeingClaimed = false;
  // It may have brought less than there is room for, while rows of other lanes are due.
  claimAgain(state, endpointLane.endpoint);
  if (endpointLane.window.phase !== 'owned') return;
  takeRows(state, { endpointLane, rows }, now);
  if (rows.length >= limit) noteDue(state, endpointLane);
  else if (nextDueAtMs !== undefined) state.dueTimes.note(endpointLane, nextDueAtMs);
  // Nothing of it may be due after all: then there is room for what is behind its cursor.
  refillSoon(state, endpointLane);
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
    if (row.follows && last !== undefined) follow(state, delivery, last);
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
