import type { Now } from './effect.ts';
import type { EndpointLane } from './endpoint-lane.ts';
import { isActive } from './endpoint.ts';
import type { LaneWindow } from './lane-window.ts';
import { findEndpointLane, markUnwritten, type EngineState } from './state.ts';

/**
 * Lets rows die that have waited for longer than the retention although nobody claims them, because
 * their endpoint is paused or disabled. Those of all others are judged when they are claimed.
 *
 * A row that is taken up, or looked for, while it dies would end twice: neither begins while the other
 * is under way.
 */
export function expireDue(state: EngineState, now: Now): void {
  if (now.monotonicMs < state.expireAtMs) return;
  state.expireAtMs = now.monotonicMs + state.options.limits.expireEveryMs;
  for (const window of state.windows.values()) {
    for (const endpointLane of window.endpointLanes.values()) {
      if (endpointLane.rowCount === 0 || !mayExpire(endpointLane)) continue;
      window.expireEndpoints.add(endpointLane.endpoint.id);
      state.expiring.add(window);
      markUnwritten(window, now);
    }
  }
}

/** Says whether rows are about to die. */
export function isExpiring(state: EngineState): boolean {
  if (state.expiryUnderWay) return true;
  for (const window of state.expiring) {
    if (window.expireEndpoints.size > 0) return true;
    state.expiring.delete(window);
  }
  return false;
}

/** Says whose rows of a lane are to die with the recording that is drafted. */
export function endpointsToExpire(state: EngineState, window: LaneWindow): string[] {
  if (state.claimUnderWay) return [];
  const endpointIds = [...window.expireEndpoints];
  window.expireEndpoints.clear();
  return endpointIds.filter((endpointId) => {
    const endpointLane = findEndpointLane(state, endpointId, window);
    return endpointLane !== undefined && mayExpire(endpointLane);
  });
}

/** What still is under way ends soon, and is looked at the next time. */
function mayExpire({ endpoint, window, claimed }: EndpointLane): boolean {
  if (endpoint.view === undefined || isActive(endpoint)) return false;
  return window.phase === 'owned' && claimed === undefined;
}
