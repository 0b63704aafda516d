import { countClaimed } from './claim-budget.ts';
import { defer, waitInTurn, type Delivery, type EndReason, type Settlement } from './delivery.ts';
import type { Now } from './effect.ts';
import {
  forgetIfEmpty,
  leavePair,
  removeClaimed,
  startLagging,
  type EndpointLane,
} from './endpoint-lane.ts';
import { enterTenant, joinTurns, leaveTenantIfIdle, stopWaiting } from './scheduling.ts';
import { claimAgain, letGo, markUnwritten, type EngineState } from './state.ts';

/*
 * The steps of a delivery (`DeliveryState`) of which something is counted or made due. Those of which
 * nothing is stand beside the states.
 */

/** Queues the head of a pair, or a claimed row, to be sent in its turn. */
export function enqueue(state: EngineState, delivery: Delivery): void {
  const { endpoint } = delivery.endpointLane;
  delivery.state = 'queued';
  endpoint.queue.push(delivery);
  endpoint.queued += 1;
  enterTenant(state, endpoint);
  if (delivery.entry === undefined) countClaimed(state, delivery, 1);
  else state.queued += 1;
  joinTurns(state, endpoint);
}

/** Counts a delivery that left the queue, whose room may be used for rows that are due. */
export function dequeue(state: EngineState, delivery: Delivery): void {
  const { endpoint } = delivery.endpointLane;
  endpoint.queued -= 1;
  if (delivery.entry === undefined) countClaimed(state, delivery, -1);
  else state.queued -= 1;
  claimAgain(state, endpoint);
  // Nothing in the queue counts any more: it would keep its bodies in memory.
  if (endpoint.queued === 0) {
    endpoint.queue.clear();
    stopWaiting(state, endpoint);
  }
  leaveTenantIfIdle(state, endpoint);
}

/** Begins an attempt, or takes up one of a former owner that was answered. */
export function beginAttempt(state: EngineState, delivery: Delivery): void {
  delivery.state = 'in_flight';
  dequeue(state, delivery);
}

/** Lets a claimed row wait behind another one. */
export function follow(state: EngineState, delivery: Delivery, before: Delivery): void {
  before.behind = delivery;
  waitInTurn(delivery);
  enterTenant(state, delivery.endpointLane.endpoint);
  countClaimed(state, delivery, 1);
}

/** Counts a claimed row that waits behind another no more; there may be room for others. */
function unfollow(state: EngineState, delivery: Delivery): void {
  const { endpoint } = delivery.endpointLane;
  countClaimed(state, delivery, -1);
  claimAgain(state, endpoint);
  leaveTenantIfIdle(state, endpoint);
}

/** Leaves a delivery to its row: it is in memory no more. */
export function park(state: EngineState, delivery: Delivery): void {
  if (delivery.state === 'queued') dequeue(state, delivery);
  else if (delivery.state === 'waiting' && delivery.entry === undefined) unfollow(state, delivery);
  delivery.state = 'parked';
  letGo(state, delivery);
}

/** Leaves what was claimed, and all that follows it, to its row. */
export function leaveToRow(state: EngineState, delivery: Delivery): void {
  const { endpointLane } = delivery;
  for (let each: Delivery | undefined = delivery; each !== undefined; each = each.behind) {
    if (each.state !== 'queued' && each.state !== 'waiting') continue;
    park(state, each);
    removeClaimed(endpointLane, each.event.position);
  }
}

/** Ends a delivery: it leaves its pair, and what was behind it may go. */
export function settle(state: EngineState, delivery: Delivery): void {
  const { endpointLane, event, entry } = delivery;
  const isFollowing = entry === undefined && delivery.state === 'waiting';
  if (delivery.state === 'queued') dequeue(state, delivery);
  if (isFollowing) unfollow(state, delivery);
  const next = leavePair(endpointLane, delivery) ?? (isFollowing ? undefined : follower(delivery));
  forgetIfEmpty(endpointLane);
  delivery.state = 'settled';
  letGo(state, delivery);
  if (entry === undefined) {
    endpointLane.window.settledRows.push({
      position: event.position,
      endpointId: endpointLane.endpoint.id,
    });
  } else {
    entry.open -= 1;
  }
  if (next === undefined) return;
  if (next.entry === undefined) unfollow(state, next);
  enqueue(state, next);
}

/** The claimed row that is next in the pair. */
function follower({ behind }: Delivery): Delivery | undefined {
  let next = behind;
  while (next !== undefined && next.state !== 'waiting') next = next.behind;
  return next;
}

/** Ends a delivery without an attempt, and says so in the delivery log. */
export function settleUnsent(
  state: EngineState,
  delivery: Delivery,
  end: { readonly settlement: Settlement; readonly reason: EndReason; readonly now: Now },
): void {
  const { window, endpoint } = delivery.endpointLane;
  window.attempts.push({
    event: delivery.event,
    endpointId: endpoint.id,
    attempt: delivery.attempt,
    startedAtMs: end.now.wallMs,
    revision: delivery.revision,
    outcome: undefined,
    reason: end.reason,
    settlement: end.settlement,
  });
  state.unrecorded += 1;
  markUnwritten(window, end.now);
  settle(state, delivery);
}

/** Ends a delivery that no subscription of its endpoint matches any more. */
export function cancel(state: EngineState, delivery: Delivery, now: Now): void {
  const isGone = delivery.endpointLane.endpoint.view === undefined;
  const reason = isGone ? 'unregistered' : 'no subscription matches';
  settleUnsent(state, delivery, { settlement: 'cancelled', reason, now });
}

/** Lets an endpoint lag in a lane: what it had not sent becomes rows as progress passes. */
export function lag(state: EngineState, endpointLane: EndpointLane, now: Now): void {
  if (endpointLane.mode === 'lagging') return;
  for (const delivery of startLagging(endpointLane)) {
    if (delivery.state === 'queued') dequeue(state, delivery);
    defer(delivery, now.wallMs);
  }
  markUnwritten(endpointLane.window, now);
  if (endpointLane.rowCount > 0) state.dueTimes.note(endpointLane, now.wallMs);
}
