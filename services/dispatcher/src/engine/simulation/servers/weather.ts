import type { Dice } from '../random.ts';
import type { Timeline } from '../timeline.ts';
import type { Behaviour } from '../world.ts';

const SLOW_STORE_MS = 4_000;
/** How fast a server is back with everybody after it was away. */
const BACK_MS = 50;

/** How the servers around the engines do at the moment. */
export class Weather {
  behaviour: Behaviour;
  /** Postgres answers nothing before. */
  storeAwayUntilMs = -Infinity;
  /** The log brings nothing before. */
  logAwayUntilMs = -Infinity;
  private readonly dice: Dice;
  private readonly timeline: Timeline;

  constructor(behaviour: Behaviour, { dice, timeline }: { dice: Dice; timeline: Timeline }) {
    this.behaviour = behaviour;
    this.dice = dice;
    this.timeline = timeline;
  }

  isStoreAway(): boolean {
    return this.timeline.nowMs < this.storeAwayUntilMs;
  }

  /** How long a statement takes. */
  storeMs(who: string, usualMs: number): number {
    const isSlow = this.dice(`slow store ${who}`) < this.behaviour.slowStoreRate;
    const share = this.dice(`store ${who}`);
    const awayMs = this.storeAwayUntilMs - this.timeline.nowMs;
    if (awayMs > 0) return awayMs + share * BACK_MS;
    return share * (isSlow ? SLOW_STORE_MS : usualMs);
  }

  /** How many of the events that are asked for a reading brings. */
  readable(who: string, limit: number): number {
    if (this.timeline.nowMs < this.logAwayUntilMs) return 0;
    if (this.dice(`short reading ${who}`) >= this.behaviour.shortReadRate) return limit;
    return Math.floor(this.dice(`reading ${who}`) * limit);
  }
}
