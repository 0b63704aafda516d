import type { ReadRequest } from '../../effect.ts';
import type { EngineState } from '../../state.ts';
import type { Surroundings } from '../surroundings.ts';

/** Recordings, which make room, may take seconds more than once. */
const LONGEST_UNREAD_MS = 10_000;
/** An engine is woken more often than that, unless it sleeps. */
const LONGEST_IDLE_MS = 1_500;

/** An owned lane with unread events is read again soon, however slow any endpoint is. */
export class ReadingOn {
  private readonly around: Surroundings;
  /** Since when lanes are not asked for although they go on. */
  private readonly unreadSinceMs = new Map<number, number>();
  private checkedAtMs = -Infinity;

  constructor(around: Surroundings) {
    this.around = around;
  }

  check({ windows }: EngineState, requests: readonly ReadRequest[]): void {
    const { log, timeline, weather } = this.around;
    const { nowMs } = timeline;
    const hasSlept = nowMs - this.checkedAtMs > LONGEST_IDLE_MS;
    this.checkedAtMs = nowMs;
    if (hasSlept || weather.isStoreAway()) this.unreadSinceMs.clear();
    const asked = new Set(requests.map(({ lane }) => lane));
    for (const lane of this.unreadSinceMs.keys()) {
      if (windows.get(lane)?.phase !== 'owned') this.unreadSinceMs.delete(lane);
    }
    for (const { lane, phase, readPosition } of windows.values()) {
      if (phase !== 'owned') continue;
      const isWaiting = log.eventsOf(lane).length > readPosition && !asked.has(lane);
      const sinceMs = isWaiting ? (this.unreadSinceMs.get(lane) ?? nowMs) : undefined;
      if (sinceMs === undefined) this.unreadSinceMs.delete(lane);
      else this.unreadSinceMs.set(lane, sinceMs);
      if (nowMs - (sinceMs ?? nowMs) > LONGEST_UNREAD_MS) {
        throw new Error(`Lane ${lane} goes on, and is not read.`);
      }
    }
  }
}
