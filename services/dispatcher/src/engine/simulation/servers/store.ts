import type { Settlement } from '../../delivery.ts';
import type { ClaimedRow, StoredAnswer } from '../../effect.ts';
import type { Cursor } from '../../endpoint-lane.ts';
import type { EventMark } from '../../lane-window.ts';
import type { GainedLane } from '../../lanes.ts';
import type {
  AttemptRecord,
  CarriedOut,
  EndedRows,
  LaneRecorded,
  LaneRecording,
  RowKey,
} from '../../recording.ts';
import { ParkedTable, type StoredRow } from './parked-table.ts';

/** Rows of a lane that end in one recording: few, so that some are left over. */
const END_AT_MOST = 3;

/** What stands in the database about one lane. */
export interface StoredLane {
  readonly parked: ParkedTable;
  readonly cursors: Map<string, Cursor>;
  epoch: number;
  progress: number;
  mark: EventMark | undefined;
  settledAhead: readonly RowKey[];
}

/** Names a delivery in all lanes. */
export function deliveryKey(endpointId: string, lane: number, position: number): string {
  return `${endpointId} ${lane}:${position}`;
}

/** The tables of the dispatcher, in memory, with the rules of `postgres/`. */
export class SimulatedStore {
  /** How each delivery ended last. */
  readonly settled = new Map<string, Settlement>();
  /** Deliveries that were dead, and are sent again because somebody asked for it. */
  readonly revived = new Set<string>();
  /** Requests that were carried out. */
  readonly carriedOut = new Set<string>();
  /** Attempts that are in the delivery log more than once. */
  loggedAgain = 0;
  /** Late answers that nobody has taken in. */
  readonly lateAnswers = new Map<string, StoredAnswer>();
  private readonly logged = new Set<string>();
  private readonly lanes: StoredLane[];

  constructor(laneCount: number) {
    this.lanes = Array.from({ length: laneCount }, () => ({
      parked: new ParkedTable(),
      cursors: new Map(),
      epoch: 0,
      progress: 0,
      mark: undefined,
      settledAhead: [],
    }));
  }

  lane(lane: number): StoredLane {
    const stored = this.lanes[lane];
    if (stored === undefined) throw new Error(`There is no lane ${lane}.`);
    return stored;
  }

  rowsOf(lane: number, endpointId: string): StoredRow[] {
    return this.lane(lane).parked.of(endpointId);
  }

  /** Whoever takes a lane over gets a new epoch; from then on the one before writes nothing. */
  takeOver(lane: number): number {
    const stored = this.lane(lane);
    stored.epoch += 1;
    return stored.epoch;
  }

  /** Loads a lane under its fence; undefined when that does not hold. */
  load(lane: number, epoch: number): GainedLane | undefined {
    const stored = this.lane(lane);
    if (stored.epoch !== epoch) return undefined;
    const { progress, mark, settledAhead, parked: table } = stored;
    const rows = Map.groupBy(table.all(), ({ endpointId }) => endpointId);
    const parked = [...rows].map(([endpointId, own]) => {
      const dueMs = own.flatMap(({ dueAtMs }) => dueAtMs ?? []);
      const nextDueAtMs = dueMs.length === 0 ? undefined : Math.min(...dueMs);
      return { endpointId, rows: own.length, nextDueAtMs };
    });
    const lateAnswers = [...this.lateAnswers.values()].filter((answer) => answer.lane === lane);
    const cursors = [...stored.cursors].map(([endpointId, cursor]) => ({ endpointId, cursor }));
    return { lane, epoch, progress, mark, settledAhead, parked, cursors, lateAnswers };
  }

  /** Reads the row that a late answer is for. */
  readAnswered({ lane, ...key }: StoredAnswer): ClaimedRow | undefined {
    const row = this.lane(lane).parked.find(key);
    return row && { ...row, follows: false };
  }

  /** Writes a lane's part of a recording under its fence, in the order of `postgres/record.ts`. */
  write(written: LaneRecording): LaneRecorded {
    const { lane, progress, mark, settledAhead } = written;
    const stored = this.lane(lane);
    if (stored.epoch !== written.epoch) return { kind: 'refused', lane };
    for (const attempt of written.attempts) this.logAttempt(lane, attempt);
    const { parked } = stored;
    parked.delete(written.settledRows);
    parked.retry(written.retriedRows);
    const inserted = parked.insert(written.parkedRows);
    if (inserted.length < written.parkedRows.length) {
      throw new Error('A delivery was parked twice.');
    }
    const revived = written.carriedOut.flatMap((request) => this.carryOut(lane, request));
    for (const answerId of written.answersTaken) this.lateAnswers.delete(answerId);
    const cancelled = this.end(written.cancelEndpoints, 'cancelled', (endpointId, most) =>
      parked.cancel(endpointId, most),
    );
    const expired = this.end(written.expireEndpoints, 'dead', (endpointId, most) =>
      parked.expire(endpointId, written.expireBeforeMs, most),
    );
    for (const { endpointId, cursor } of written.movedCursors) {
      if (cursor === undefined) stored.cursors.delete(endpointId);
      else stored.cursors.set(endpointId, cursor);
    }
    Object.assign(stored, { progress, mark, settledAhead });
    const listed = written.listEndpoints.map((endpointId) => {
      return { endpointId, rows: parked.list(endpointId) };
    });
    return { kind: 'recorded', lane, revived, cancelled, expired, listed };
  }

  private logAttempt(lane: number, record: AttemptRecord): void {
    const { event, endpointId, attempt, outcome, settlement } = record;
    const key = deliveryKey(endpointId, lane, event.position);
    if (outcome !== undefined) {
      if (this.logged.has(`${key} ${attempt}`)) this.loggedAgain += 1;
      this.logged.add(`${key} ${attempt}`);
    }
    if (settlement === undefined) return;
    const before = this.settled.get(key);
    // What is cancelled may be under way, and be answered after that.
    if (before !== undefined && before !== 'cancelled' && !this.revived.has(key)) {
      throw new Error(`${key} was ${before}, and then ${settlement}.`);
    }
    this.settled.set(key, settlement);
  }

  private carryOut(lane: number, request: CarriedOut): RowKey[] {
    const { parked } = this.lane(lane);
    this.carriedOut.add(request.requestId);
    if (request.kind === 'retry_now') parked.retryNow(request.row);
    if (request.kind !== 'revive') return [];
    const { event, endpointId: revivedId } = request.row;
    // It may have been asked for twice, and delivered meanwhile.
    if (this.settled.get(deliveryKey(revivedId, lane, event.position)) !== 'dead') return [];
    return parked.insert([request.row]).map(({ event: { position }, endpointId }) => {
      this.revived.add(deliveryKey(endpointId, lane, position));
      return { position, endpointId };
    });
  }

  /** Ends rows of endpoints, which have one bound together. */
  private end(
    endpointIds: readonly string[],
    settlement: Settlement,
    take: (endpointId: string, most: number) => readonly StoredRow[],
  ): EndedRows[] {
    let left = END_AT_MOST;
    const ended = endpointIds.map((endpointId) => {
      const rows = take(endpointId, left);
      left -= rows.length;
      for (const { event } of rows) {
        this.settled.set(deliveryKey(endpointId, event.lane, event.position), settlement);
      }
      return { endpointId, rows: rows.length };
    });
    return ended.map((rows) => ({ ...rows, isAll: left > 0 }));
  }
}
