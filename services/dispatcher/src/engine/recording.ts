import type { AttemptOutcome, EndReason, LogEvent, Settlement } from './delivery.ts';
import type { Cursor } from './endpoint-lane.ts';
import type { EventMark } from './lane-window.ts';

/** A row of the delivery log: one attempt, or a settlement without one. */
export interface AttemptRecord {
  readonly event: LogEvent;
  readonly endpointId: string;
  /** The attempt's number; for a settlement without an attempt, how many were made before. */
  readonly attempt: number;
  readonly startedAtMs: number;
  /** The revision of the set of endpoints when it began. */
  readonly revision: number;
  /** Absent for a settlement without an attempt. */
  readonly outcome: AttemptOutcome | undefined;
  /** Why it was settled without an attempt. */
  readonly reason: EndReason | undefined;
  readonly settlement: Settlement | undefined;
}

/** Names a delivery within a lane. */
export interface RowKey {
  readonly position: number;
  readonly endpointId: string;
}

/** A parked row after another attempt: when the next one is due. */
export interface RowRetry extends RowKey {
  readonly attempt: number;
  /** The attempt is still under way; its answer comes late. */
  readonly inFlight: boolean;
  readonly notBeforeMs: number;
}

/** A delivery that becomes a parked row. */
export interface ParkedRow {
  readonly event: LogEvent;
  readonly endpointId: string;
  readonly attempt: number;
  /** The attempt is still under way. */
  readonly inFlight: boolean;
  /** Not due before; whether it waits behind another of its pair is decided when it is written. */
  readonly notBeforeMs: number;
  readonly ordered: boolean;
}

/** Where an endpoint's cursor in the lane stands now. */
export interface MovedCursor {
  readonly endpointId: string;
  readonly cursor: Cursor | undefined;
}

/** What somebody asked of a lane's owner, now carried out. */
export type CarriedOut =
  | { readonly kind: 'retry_now'; readonly requestId: string; readonly row: RowKey }
  | { readonly kind: 'revive'; readonly requestId: string; readonly row: ParkedRow }
  | { readonly kind: 'nothing'; readonly requestId: string };

/** What is written about one lane, under its fence. */
export interface LaneRecording {
  readonly lane: number;
  readonly epoch: number;
  readonly progress: number;
  /** What stands at progress. */
  readonly mark: EventMark | undefined;
  readonly settledAhead: readonly RowKey[];
  readonly attempts: readonly AttemptRecord[];
  readonly settledRows: readonly RowKey[];
  readonly retriedRows: readonly RowRetry[];
  readonly parkedRows: readonly ParkedRow[];
  /** Cursors that were made or moved; undefined where one has ended. */
  readonly movedCursors: readonly MovedCursor[];
  /** Endpoints whose rows are cancelled, up to a bound of rows for the recording. */
  readonly cancelEndpoints: readonly string[];
  /** Endpoints that are not called, whose rows die if their events happened before a time. */
  readonly expireEndpoints: readonly string[];
  readonly expireBeforeMs: number;
  readonly carriedOut: readonly CarriedOut[];
  /** Late answers that were taken in, or do not fit any more. */
  readonly answersTaken: readonly string[];
  /** Endpoints whose rows are to be listed once all of this is written. */
  readonly listEndpoints: readonly string[];
}

/** One transaction over all lanes that have something to write. */
export interface Recording {
  /** Counts up; a repeat after an unknown outcome carries the same number. */
  readonly number: number;
  readonly lanes: readonly LaneRecording[];
}

/** What came of a lane's part of a recording. */
export type LaneRecorded =
  | { readonly kind: 'refused'; readonly lane: number }
  | {
      readonly kind: 'recorded';
      readonly lane: number;
      /** Rows made by `revive`: a delivery that has one, or is not dead any more, gets none. */
      readonly revived: readonly RowKey[];
      readonly cancelled: readonly EndedRows[];
      readonly expired: readonly EndedRows[];
      readonly listed: readonly {
        readonly endpointId: string;
        readonly rows: readonly ListedRow[];
      }[];
    };

/** Rows of an endpoint that were cancelled or died, up to a bound for the recording. */
export interface EndedRows {
  readonly endpointId: string;
  readonly rows: number;
  /** False when the recording has reached the bound, so that more may be left. */
  readonly isAll: boolean;
}

/** A parked row, listed so that the engine knows its pair again. */
export interface ListedRow {
  readonly position: number;
  readonly invoiceId: string;
  readonly ordered: boolean;
  /** Absent while it waits behind another row of its pair. */
  readonly dueAtMs: number | undefined;
}
