import type { Delivery } from './delivery.ts';
import { sendsPerSecond, type Endpoint } from './endpoint.ts';
import type { EngineLimits } from './limits.ts';
import { PART_OF, SLOW_MS } from './speed.ts';
import type { EngineState } from './state.ts';

/**
 * The budget of claimed rows that wait to be sent: apart from what was just read, so that neither
 * takes the other's room. Nobody has more of it than is still free (dynamic thresholds; Choudhury and
 * Hahne, 1998): so a tenant whose endpoints are slow never has all of it, and whoever comes next
 * finds room. Those whose rows wait long have no more than a part of what is free (a lower control
 * parameter, as there): so the fast endpoints of the same tenant find room, too.
 */

/** An endpoint of which nothing is known may have so many. */
const LEAST_CLAIMED = 4;
/** Rows for so long wait at an endpoint, at its own pace. */
const CLAIMED_MS = 2_000;

/** Claimed rows that wait to be sent. */
export interface ClaimedRows {
  claimed: number;
  claimedBytes: number;
}

/** Says how many an endpoint may have for how fast it takes them. */
export function claimLimit({ pace }: Endpoint, { maxClaimedPerEndpoint }: EngineLimits): number {
  const soon = Math.ceil((pace.perSecond * CLAIMED_MS) / 1_000);
  return Math.min(maxClaimedPerEndpoint, Math.max(LEAST_CLAIMED, soon));
}

/** Says how many more an endpoint may have for how many its tenant has. */
export function claimsLeftFor(state: EngineState, endpoint: Endpoint): number {
  const tenant = state.tenants.get(endpoint.view?.tenant ?? '');
  const part = waitsLong(endpoint, state.options.limits) ? PART_OF.slow : PART_OF[endpoint.speed];
  return claimsLeft(state, tenant, part);
}

/** Says whether claimed rows wait long for the endpoint's rate, even if it has the fewest. */
function waitsLong(endpoint: Endpoint, limits: EngineLimits): boolean {
  return (LEAST_CLAIMED / (sendsPerSecond(endpoint, limits) ?? Infinity)) * 1_000 > SLOW_MS;
}

/** Says how many more the endpoints of a tenant may have, if it may have a part of what is free. */
export function claimsLeft(state: EngineState, tenant?: ClaimedRows, part = 1): number {
  const { limits } = state.options;
  const used = rowsWorth(state, limits);
  const ofTenant = tenant === undefined ? 0 : rowsWorth(tenant, limits);
  // What comes is as large as what is there.
  const each = state.claimed === 0 ? 1 : used / state.claimed;
  return Math.floor(((limits.maxClaimed - used) * part - ofTenant) / each);
}

/** Rows with large bodies count for several. */
function rowsWorth({ claimed, claimedBytes }: ClaimedRows, limits: EngineLimits): number {
  return Math.max(claimed, (claimedBytes / limits.maxClaimedBytes) * limits.maxClaimed);
}

/** Counts a claimed row that waits to be sent, or waits no more. */
export function countClaimed(state: EngineState, delivery: Delivery, change: 1 | -1): void {
  const { endpoint } = delivery.endpointLane;
  const bytes = change * delivery.event.body.length;
  endpoint.claimed += change;
  state.claimed += change;
  state.claimedBytes += bytes;
  if (endpoint.tenant === undefined) return;
  endpoint.tenant.claimed += change;
  endpoint.tenant.claimedBytes += bytes;
}
