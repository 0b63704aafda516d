import type { Delivery } from './delivery.ts';
import type { Now } from './effect.ts';
import {
  isCallable,
  nextQueued,
  sendLimit,
  sendsPerSecond,
  type Endpoint,
  type Origin,
  type Tenant,
} from './endpoint.ts';
import { noteSend, sendableAtMs } from './rate-limit.ts';
import { countFast, PART_OF } from './speed.ts';
import type { EngineState } from './state.ts';
import { Turns } from './turns.ts';

/** What one turn gives, in the unit of `costOf`: a few small deliveries. */
export const TURN_CREDIT = 4_096;
/** What a delivery costs whatever its size: about as much as a small body. */
const COST_BYTES = 1_024;

/** Up to which part of what may be under way tenants share. */
const SHARED = 7 / 8;

function costOf({ event }: Delivery): number {
  return COST_BYTES + event.body.length;
}

/**
 * Chooses what is sent next: tenants take turns, and within each its endpoints do. Whoever cannot
 * send now leaves, and comes back by `joinTurns` when what was in its way is gone.
 */
export function nextToSend(state: EngineState, now: Now): Delivery | undefined {
  for (let tenant = state.turns.next(); tenant !== undefined; tenant = state.turns.next()) {
    if (isCrowded(state, tenant)) {
      // Its endpoints keep their places.
      state.crowded.add(tenant);
      state.turns.leave();
      continue;
    }
    const endpoint = nextReady(state, tenant, now);
    const delivery = endpoint && nextQueued(endpoint);
    if (endpoint !== undefined && delivery !== undefined) {
      endpoint.credit -= costOf(delivery);
      tenant.credit -= costOf(delivery);
      return delivery;
    }
    state.turns.leave();
    forgetTenantIfIdle(state, tenant);
  }
  return undefined;
}

/**
 * Counts the deliveries that wait for nothing but their turn: those of fast endpoints below their limits. Who
 * has its share does not count, nor do claimed rows: it may have begun to hang, and nobody else is to wait for
 * that.
 *
 * @param enough beyond so many it counts no further.
 */
export function countReady(state: EngineState, enough = Infinity): number {
  let ready = 0;
  for (const tenant of state.turns) {
    for (const endpoint of tenant.turns) {
      if (endpoint.speed !== 'fast' || endpoint.inFlight >= sendLimit(endpoint)) continue;
      ready += Math.max(0, endpoint.queued - endpoint.claimed);
      if (ready > enough) return ready;
    }
  }
  return ready;
}

/** Says how many more deliveries may be read for those who can send them at once. */
export function roomToSend(state: EngineState): number {
  const { maxReady } = state.options.limits;
  const ready = countReady(state, maxReady / 2);
  // A few at a time would cost a read each.
  return ready > maxReady / 2 ? 0 : maxReady - ready;
}

function nextReady(state: EngineState, { turns }: Tenant, now: Now): Endpoint | undefined {
  for (let endpoint = turns.next(); endpoint !== undefined; endpoint = turns.next()) {
    if (isReady(state, endpoint, now)) return endpoint;
    turns.leave();
  }
  return undefined;
}

/** Says whether a send may begin. If not, it sees to it that the endpoint comes back. */
function isReady(state: EngineState, endpoint: Endpoint, now: Now): boolean {
  const { maxInFlightPerOrigin } = state.options.limits;
  const origin = state.origins.get(originName(endpoint));
  const isHindered = !mayBegin(state, endpoint, now);
  if (isHindered || endpoint.waitsAt !== origin) stopWaiting(state, endpoint);
  if (isHindered) return false;
  if (origin === undefined || origin.inFlight < maxInFlightPerOrigin) return true;
  origin.waiting.add(endpoint);
  endpoint.waitsAt = origin;
  return false;
}

function mayBegin(state: EngineState, endpoint: Endpoint, now: Now): boolean {
  // The set of endpoints, the time of a probe, or an answer lets it join again.
  if (endpoint.queued === 0 || !isCallable(endpoint)) return false;
  if (endpoint.inFlight >= sendLimit(endpoint)) return false;
  const perSecond = sendsPerSecond(endpoint, state.options.limits);
  if (perSecond !== undefined) {
    const atMs = sendableAtMs(endpoint.rate, perSecond);
    if (atMs > now.monotonicMs) {
      state.wakeTimes.note(endpoint, atMs);
      return false;
    }
  }
  if (isOverShare(state, endpoint)) {
    state.overShare.add(endpoint);
    return false;
  }
  return true;
}

/**
 * While more than half of what may be under way is, no tenant has more than its share of it, and no
 * endpoint more than its share of the tenant's: so the others find room at once. Endpoints that are slow
 * or untried share a part of the tenant's share, and the fast ones all that these do not hold (`speed.ts`).
 */
function isCrowded(state: EngineState, { inFlight }: Tenant): boolean {
  return isHalfFull(state) && inFlight >= tenantShare(state);
}

function isOverShare(state: EngineState, { tenant, inFlight, speed }: Endpoint): boolean {
  if (!isHalfFull(state) || tenant === undefined) return false;
  const share = tenantShare(state);
  const { fastEndpoints, fastInFlight } = tenant;
  const others = tenant.inFlight - fastInFlight;
  if (speed === 'fast') return inFlight >= Math.max(1, (share - others) / fastEndpoints);
  const room = Math.max(1, share * PART_OF[speed]);
  return others >= room || inFlight >= Math.max(1, room / (tenant.endpoints - fastEndpoints));
}

/** An eighth is kept for tenants that come: what all others have may hang. */
function tenantShare({ tenants, options: { limits } }: EngineState): number {
  return Math.max(1, (limits.maxInFlight * SHARED) / tenants.size);
}

function isHalfFull({ inFlight, options: { limits } }: EngineState): boolean {
  return inFlight >= limits.maxInFlight / 2;
}

/** Counts a send that begins. */
export function noteBegin(state: EngineState, delivery: Delivery, now: Now): void {
  const { endpoint } = delivery.endpointLane;
  const origin = originOf(state, endpoint);
  delivery.origin = origin;
  origin.inFlight += 1;
  // Next time it waits behind the others.
  stopWaiting(state, endpoint);
  endpoint.inFlight += 1;
  countSend(endpoint, 1);
  state.inFlight += 1;
  const perSecond = sendsPerSecond(endpoint, state.options.limits);
  if (perSecond !== undefined) noteSend(endpoint.rate, perSecond, now.monotonicMs);
}

/** Counts a send that ended, and lets those come back for whom it made room. */
export function noteEnd(state: EngineState, delivery: Delivery): void {
  const { endpoint } = delivery.endpointLane;
  const { origin } = delivery;
  const { tenant } = endpoint;
  state.inFlight -= 1;
  state.pace.ended += 1;
  endpoint.pace.ended += 1;
  endpoint.inFlight -= 1;
  if (origin !== undefined) leaveOrigin(state, origin);
  if (tenant !== undefined) {
    countSend(endpoint, -1);
    if (tenant.turns.size > 0) state.turns.join(tenant);
  }
  leaveTenantIfIdle(state, endpoint);
  // The shares of others may have grown, too. No more return than find room: who sends stands behind the rest.
  const { inFlight, options } = state;
  const returning =
    inFlight === 0 ? Infinity : Math.max(1, options.limits.maxInFlight / 2 - inFlight);
  for (const waiting of takeFirst(state.overShare, returning)) joinTurns(state, waiting);
  // Behind whoever waits for the room that it made, or it would have that again each time.
  joinTurns(state, endpoint);
  for (const waiting of takeFirst(state.crowded, returning)) state.turns.join(waiting);
}

function countSend({ tenant, speed }: Endpoint, change: 1 | -1): void {
  if (tenant === undefined) return;
  tenant.inFlight += change;
  if (speed === 'fast') tenant.fastInFlight += change;
}

function leaveOrigin(state: EngineState, origin: Origin): void {
  origin.inFlight -= 1;
  wakeWaiting(state, origin);
}

/** Lets as many try again as there is room for at the origin. Each keeps its place until it sends. */
function wakeWaiting(state: EngineState, origin: Origin): void {
  let room = state.options.limits.maxInFlightPerOrigin - origin.inFlight;
  for (const waiting of origin.waiting) {
    if (room <= 0) return;
    joinTurns(state, waiting);
    // Those of a tenant that has its share do not use the room now.
    if (waiting.tenant === undefined || !isCrowded(state, waiting.tenant)) room -= 1;
  }
  if (origin.inFlight === 0 && origin.waiting.size === 0) state.origins.delete(origin.name);
}

/** It waits for room at its origin no more: others may have its place. */
export function stopWaiting(state: EngineState, endpoint: Endpoint): void {
  const { waitsAt } = endpoint;
  if (waitsAt === undefined) return;
  endpoint.waitsAt = undefined;
  waitsAt.waiting.delete(endpoint);
  wakeWaiting(state, waitsAt);
}

function takeFirst<Item>(items: Set<Item>, count: number): readonly Item[] {
  // Almost always: it is asked with each answer.
  if (items.size === 0) return NOBODY;
  const taken: Item[] = [];
  for (const item of items) {
    if (taken.length >= count) break;
    items.delete(item);
    taken.push(item);
  }
  return taken;
}

const NOBODY: readonly never[] = [];

/** Gives the endpoint a place among those that may send, if it has something queued. */
export function joinTurns(state: EngineState, endpoint: Endpoint): void {
  const { tenant } = endpoint;
  if (endpoint.queued === 0 || tenant === undefined) return;
  tenant.turns.join(endpoint);
  state.turns.join(tenant);
}

/** Counts the endpoint among those of its tenant that have something queued or in flight. */
export function enterTenant(state: EngineState, endpoint: Endpoint): void {
  if (endpoint.tenant !== undefined) return;
  const id = endpoint.view?.tenant ?? '';
  let tenant = state.tenants.get(id);
  if (tenant === undefined) {
    const turns = new Turns<Endpoint>(TURN_CREDIT);
    tenant = {
      id,
      turns,
      endpoints: 0,
      inFlight: 0,
      fastEndpoints: 0,
      fastInFlight: 0,
      claimed: 0,
      claimedBytes: 0,
      credit: 0,
      inRing: false,
    };
    state.tenants.set(id, tenant);
  }
  tenant.endpoints += 1;
  endpoint.tenant = tenant;
  countFast(endpoint, 1, 0);
}

/** Counts it no more once it has neither, and no claimed row that is about to be queued. */
export function leaveTenantIfIdle(state: EngineState, endpoint: Endpoint): void {
  const { tenant } = endpoint;
  if (tenant === undefined) return;
  if (endpoint.queued > 0 || endpoint.inFlight > 0 || endpoint.claimed > 0) return;
  tenant.endpoints -= 1;
  countFast(endpoint, -1, 0);
  endpoint.tenant = undefined;
  forgetTenantIfIdle(state, tenant);
}

/** One that still stands in a ring is forgotten when its turn comes. */
function forgetTenantIfIdle(state: EngineState, tenant: Tenant): void {
  if (tenant.endpoints > 0 || tenant.inRing || tenant.turns.size > 0) return;
  state.tenants.delete(tenant.id);
  state.crowded.delete(tenant);
}

function originName({ view }: Endpoint): string {
  return view?.origin ?? '';
}

function originOf(state: EngineState, endpoint: Endpoint): Origin {
  const name = originName(endpoint);
  let origin = state.origins.get(name);
  if (origin === undefined) {
    origin = { name, inFlight: 0, waiting: new Set() };
    state.origins.set(name, origin);
  }
  return origin;
}
