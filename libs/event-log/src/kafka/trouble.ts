import type { BrokenEvent, LaneSlice, LogRecord } from '../event-log.ts';

/** Why a lane cannot be read on behind what it collected. */
export type Trouble =
  | { readonly kind: 'jump'; readonly record: LogRecord }
  | { readonly kind: 'broken'; readonly event: BrokenEvent };

/**
 * A lane that cannot be read on is looked at again when it is asked for after that time. Behind a jump it
 * is read on all the same, and another look reads the whole of it once more.
 */
const LOOK_AGAIN_AFTER_MS = { broken: 500, jump: 30_000 };

/**
 * What keeps a lane from being read on. It stands until it was shown to the reader and another look found
 * something else; while that is under way it is old, and still shown.
 */
export class StandingTrouble {
  #trouble: Trouble | undefined;
  #shownAtMs: number | undefined;
  #isOld = false;

  get current(): Trouble | undefined {
    return this.#trouble;
  }

  /** Whether nothing is to be collected behind it. */
  get isNew(): boolean {
    return this.#trouble !== undefined && !this.#isOld;
  }

  meet(trouble: Trouble): void {
    this.#trouble = trouble;
    this.#shownAtMs = undefined;
    this.#isOld = false;
  }

  growOld(): void {
    this.#isOld = true;
  }

  forget(): void {
    this.#trouble = undefined;
    this.#isOld = false;
  }

  /** Another look found something else. */
  forgetIfOld(): void {
    if (this.#isOld) this.forget();
  }

  isDueForAnotherLook(nowMs: number): boolean {
    const shownAtMs = this.#shownAtMs;
    if (this.#trouble === undefined || this.#isOld || shownAtMs === undefined) return false;
    return nowMs - shownAtMs >= LOOK_AGAIN_AFTER_MS[this.#trouble.kind];
  }

  /** Adds it to a slice that holds all that precedes it. */
  show(slice: LaneSlice, limit: number, nowMs: number): LaneSlice {
    const trouble = this.#trouble;
    const { events } = slice;
    if (trouble === undefined || (trouble.kind === 'jump' && events.length === limit)) return slice;
    if (!this.#isOld) this.#shownAtMs ??= nowMs;
    if (trouble.kind === 'broken') return { ...slice, broken: trouble.event };
    return { ...slice, events: [...events, trouble.record] };
  }
}

/** Something that is no event, or not the one that was read at its position. */
export function brokenAt(position: number, reason: BrokenEvent['reason'], cause: Error): Trouble {
  return { kind: 'broken', event: { position, reason, cause } };
}
