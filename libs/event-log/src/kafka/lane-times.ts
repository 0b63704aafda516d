/** Who asks for a position and is answered `unknown` keeps the lane so long from others. */
const PATIENCE_MS = 1_000;
/** A lane that nobody asked for lets go of what it holds. */
const IDLE_AFTER_MS = 10_000;

/** A lane that was quiet for that time makes sure that the partition is still the same. */
const CHECK_PLACE_AFTER_MS = 20_000;

/** When a lane was asked last, and since when nothing came. */
export class LaneTimes {
  #askedAtMs = 0;
  #isAnswered = true;
  #quietOffset = 0;
  #quietSinceMs = 0;

  asked(nowMs: number): void {
    this.#askedAtMs = nowMs;
  }

  /** Whether it could be answered to who asked last. */
  answered(isAnswered: boolean): void {
    this.#isAnswered = isAnswered;
  }

  /** Two that ask for different positions by turns would never get an answer. */
  isFree(nowMs: number): boolean {
    return this.#isAnswered || nowMs - this.#askedAtMs >= PATIENCE_MS;
  }

  isIdle(nowMs: number): boolean {
    return nowMs - this.#askedAtMs >= IDLE_AFTER_MS;
  }

  /**
   * Whether nothing came for long, since the start or since this was last so.
   *
   * @param lane.nextOffset what it reads next.
   * @param lane.length how much of what it read waits to be taken.
   */
  isQuiet(nowMs: number, lane: { readonly nextOffset: number; readonly length: number }): boolean {
    const isMoving = lane.nextOffset !== this.#quietOffset || lane.length > 0;
    const isLong = nowMs - this.#quietSinceMs >= CHECK_PLACE_AFTER_MS;
    if (!isMoving && !isLong) return false;
    this.#quietOffset = lane.nextOffset;
    this.#quietSinceMs = nowMs;
    return !isMoving;
  }
}
