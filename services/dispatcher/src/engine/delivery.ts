import type { EndpointLane } from './endpoint-lane.ts';
import type { Origin } from './endpoint.ts';
import type { LaneEntry } from './lane-window.ts';

/** An event as the engine sees it: read from the log, decoded, with the body that is sent. */
export interface LogEvent {
  readonly lane: number;
  readonly position: number;
  /** `evt_` and 32 hex digits; the `webhook-id`. */
  readonly id: string;
  readonly tenant: string;
  readonly invoiceId: string;
  /** The invoice's event number: 1, 2, 3, ... */
  readonly sequence: number;
  /** Such as `invoice_created`. */
  readonly type: string;
  readonly recordedAtMs: number;
  readonly traceparent: string | undefined;
  /** Where the log keeps it; absent when its position says it all, and for what comes from a row. */
  readonly offset: number | undefined;
  /** The same bytes for every endpoint, attempt and replay. */
  readonly body: Buffer;
}

/**
 * Where a delivery stands while the engine holds it.
 *
 * ```
 * from                                 to
 * matched, parked, waiting             queued     nothing of its pair is before it (any more)
 * matched, parked                      waiting    something is
 * matched, queued, waiting             deferred   its endpoint lags
 * queued                               in_flight  an attempt begins
 * in_flight                            failed     it failed
 * in_flight                            settled    the receiver took it, or will never
 * queued, waiting, failed, deferred    parked     progress passes it, or a claimed row is given back
 * queued, waiting, failed, deferred    settled    it is cancelled, has waited for too long, or was taken
 *                                                 at its former lane owner, whose answer comes late
 * parked                               in_flight  such an answer comes to its row
 * ```
 * A step of which something is counted is a function of `transitions.ts`, the others stand below; an
 * attempt fails in `sending.ts`. A claimed row that failed is let go of as it is: its row stays.
 *
 * - `queued`: the head of its pair, to be sent when its endpoint has room.
 * - `in_flight`: being sent.
 * - `waiting`: behind an earlier event of the same invoice to the same endpoint; also a row that was
 *   claimed together with the one before it.
 * - `failed`: its attempt failed; it becomes a parked row when progress passes it.
 * - `deferred`: its endpoint lags; it becomes a parked row without having been sent.
 * - `parked`: a row; the engine forgets it until the row is claimed, and is then `queued` again.
 * - `settled`: delivered, dead or cancelled.
 */
export type DeliveryState =
  'queued' | 'in_flight' | 'waiting' | 'failed' | 'deferred' | 'parked' | 'settled';

/** It waits behind an earlier one of its pair. */
export function waitInTurn(delivery: Delivery): void {
  delivery.state = 'waiting';
}

/** Its endpoint lags: it is not sent before it was a row. */
export function defer(delivery: Delivery, notBeforeMs: number): void {
  delivery.state = 'deferred';
  delivery.notBeforeMs = notBeforeMs;
}

/** How a delivery ended. */
export type Settlement = 'delivered' | 'dead' | 'cancelled';

/** Why it ended without an attempt that decided it, as the delivery log keeps it. */
export type EndReason = 'unregistered' | 'no subscription matches' | 'waited too long';

/** One event to one endpoint, while the engine holds it. */
export interface Delivery {
  readonly event: LogEvent;
  readonly endpointLane: EndpointLane;
  /** False for a retry by hand of what was dead: it blocks nothing and waits for nothing. */
  readonly ordered: boolean;
  state: DeliveryState;
  /** Attempts made or under way. */
  attempt: number;
  /** An earlier owner made the last attempt, and its answer has not come. */
  isUnanswered: boolean;
  /** Its place above progress; absent once a parked row stands for it. */
  entry: LaneEntry | undefined;
  /** The row that follows it in its pair, claimed with it. */
  behind: Delivery | undefined;
  /** Where the attempt under way goes. */
  origin: Origin | undefined;
  /** When the attempt under way began, wall clock. */
  startedAtMs: number;
  /** The revision of the set of endpoints when the attempt under way began. */
  revision: number;
  /** Before this no further attempt is made, wall clock. */
  notBeforeMs: number;
}

/** How one attempt ended, as the sender reports it. Durations and times are milliseconds. */
export type AttemptOutcome =
  | { readonly kind: 'delivered'; readonly status: number; readonly durationMs: number }
  | {
      readonly kind: 'rejected';
      readonly status: number;
      readonly durationMs: number;
      /** From `Retry-After`: the wall clock time before which no further attempt is welcome. */
      readonly retryAfterMs?: number | undefined;
      readonly snippet: string;
    }
  | {
      readonly kind: 'unreachable';
      readonly durationMs: number;
      readonly detail: string;
      /** It was called, and did not answer in time. */
      readonly timedOut?: boolean;
      /** Nothing of it was sent, for a reason of this process: it says nothing of the receiver. */
      readonly notSent?: boolean;
    }
  | { readonly kind: 'refused'; readonly durationMs: number; readonly detail: string };

/** Says whether an attempt never began, so that it says nothing of the receiver. */
export function isNotSent(outcome: AttemptOutcome): boolean {
  return outcome.kind === 'unreachable' && outcome.notSent === true;
}
