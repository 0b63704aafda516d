import type { AttemptOutcome, Delivery, LogEvent } from './delivery.ts';
import type { EndpointLane } from './endpoint-lane.ts';
import type { EventMark, LaneWindow } from './lane-window.ts';
import type { Recording } from './recording.ts';

/** A moment on both clocks: wall clock for what is stored, monotonic for ages and leases. */
export interface Now {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** What the engine wants done. Whoever does it tells the engine what came of it. */
export type Effect =
  /** POST the delivery; answer with `answered`. */
  | { readonly kind: 'send'; readonly delivery: Delivery }
  /** Write the recording in one transaction; answer with `recorded`. */
  | { readonly kind: 'record'; readonly recording: Recording }
  /** Read rows that are due; answer with `claimed`. */
  | { readonly kind: 'claim'; readonly claims: readonly Claim[] }
  /** Read the log again from cursors, and match it behind the barrier; answer with `refilled`. */
  | { readonly kind: 'refill'; readonly refills: readonly Refill[] }
  /** The endpoint answered 410: have it disabled. */
  | {
      readonly kind: 'report_gone';
      readonly endpointId: string;
      readonly tenant: string;
      /** The revision of the set of endpoints with which it was called. */
      readonly revision: number;
    }
  /** Read the rows that late answers are for; answer with `found`. */
  | { readonly kind: 'find'; readonly searches: readonly RowSearch[] }
  /** The answer came when the lane was given up: leave it to the new owner. */
  | { readonly kind: 'answered_late'; readonly answer: LateAnswer }
  /** Everything of the lane is recorded: give up its lease. */
  | { readonly kind: 'release'; readonly lane: number; readonly epoch: number }
  /** The fence refused a write: the lease of the lane is not ours any more. */
  | { readonly kind: 'lost'; readonly lane: number; readonly epoch: number };

/**
 * Asks for rows of an endpoint in a lane that are due, earliest first, and for what follows them in
 * their pairs as far as the limit leaves room for it.
 */
export interface Claim {
  readonly endpointLane: EndpointLane;
  readonly limit: number;
}

/** What a claim found. */
export interface ClaimResult {
  readonly claim: Claim;
  /**
   * At most `limit`, without those that are claimed already: due rows, each before those that wait
   * behind it.
   */
  readonly rows: readonly ClaimedRow[];
  /** When the first row is due that is not among them; absent when there is none. */
  readonly nextDueAtMs: number | undefined;
}

/** A parked row that is due, or follows one in its pair. */
export interface ClaimedRow {
  /** It waits behind the row before it. */
  readonly follows: boolean;
  readonly event: LogEvent;
  /** Attempts made. */
  readonly attempt: number;
  /** The last attempt is still under way, or was never answered. */
  readonly inFlight: boolean;
  readonly ordered: boolean;
}

/** Asks for the events of a lane after a position. */
export interface ReadRequest {
  readonly lane: number;
  readonly epoch: number;
  readonly after: number;
  /** What stands at `after`, if that is known. */
  readonly mark: EventMark | undefined;
  readonly limit: number;
}

/** Asks for the events of a lane after a cursor, with which of some endpoints they match. */
export interface Refill extends ReadRequest {
  readonly endpointIds: ReadonlySet<string>;
}

/** The answer to a `send`. */
export interface Answer {
  readonly delivery: Delivery;
  readonly outcome: AttemptOutcome;
}

/** The answer to an attempt of somebody who gave the lane up, or lost it, before it came. */
export interface LateAnswer {
  readonly lane: number;
  readonly position: number;
  readonly endpointId: string;
  readonly attempt: number;
  /** When the attempt began, wall clock. */
  readonly startedAtMs: number;
  /** The revision of the set of endpoints when it began. */
  readonly revision: number;
  readonly outcome: AttemptOutcome;
}

/** A late answer as the new owner reads it. */
export interface StoredAnswer extends LateAnswer {
  readonly answerId: string;
}

/** Asks for the row that a late answer is for. */
export interface RowSearch {
  readonly window: LaneWindow;
  readonly answer: StoredAnswer;
}

/** What a search found. */
export interface FoundRow {
  readonly search: RowSearch;
  /** Absent when there is none any more. */
  readonly row: ClaimedRow | undefined;
}

/** What somebody asks of the owner of a lane. */
export interface OwnerRequest {
  readonly requestId: string;
  readonly lane: number;
  readonly position: number;
  readonly endpointId: string;
  /** The event, when the delivery is dead and has no row any more. */
  readonly revive: { readonly event: LogEvent; readonly attempt: number } | undefined;
}
