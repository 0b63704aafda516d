import type { Now } from './effect.ts';
import { isActive } from './endpoint.ts';
import { markUnwritten, type EngineState } from './state.ts';

/**
 * Lets rows die that have waited for longer than the retention although nobody claims them, because
 * their endpoint is paused or disabled. Those of all others are judged when they are claimed.
 */
export function expireDue(state: EngineState, now: Now): void {
  if (now.monotonicMs < state.expireAtMs) return;
  state.expireAtMs = now.monotonicMs + state.options.limits.expireEveryMs;
  for (const endpoint of state.endpoints.values()) {
    if (endpoint.view === undefined || isActive(endpoint)) continue;
    for (const { window, rowCount, claimed } of endpoint.lanes.values()) {
      // What still is under way ends soon, and is looked at the next time.
      if (window.phase !== 'owned' || rowCount === 0 || claimed.size > 0) continue;
      window.expireEndpoints.add(endpoint.id);
      markUnwritten(window, now);
    }
  }
}
