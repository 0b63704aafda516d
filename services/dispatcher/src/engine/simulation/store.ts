import type { Settlement } from '../delivery.ts';
import type { ClaimedRow, StoredAnswer } from '../effect.ts';
import type { Cursor } from '../endpoint-lane.ts';
import type { EventMark } from '../lane-window.ts';
import type { GainedLane } from '../lanes.ts';
import type {
  EndedRows,
  CarriedOut,
  LaneRecorded,
  LaneRecording,
  ListedRow,
  ParkedRow,
  RowKey,
} from '../recording.ts';

/** Rows of one endpoint that end in one recording: few, so that some are left over. */
const END_AT_MOST = 3;

interface StoredRow extends ParkedRow {
  attempt: number;
  inFlight: boolean;
  notBeforeMs: number;
}

/** What stands in the database about one lane. */
interface StoredLane {
  readonly rows: StoredRow[];
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

/** Rows that are due, as a claim reads them. */
export interface DueRows {
  readonly rows: readonly ClaimedRow[];
  readonly nextDueAtMs: number | undefined;
}

/** The tables of the dispatcher, in memory, with the rules of `postgres/`. */
export class SimulatedStore {
  /** How each delivery ended last. */
  readonly settled = new Map<string, Settlement>();
  /** Requests that were carried out. */
  readonly carriedOut = new Set<string>();
  /** Attempts that are in the delivery log more than once. */
  loggedAgain = 0;
  private readonly logged = new Set<string>();
  /** Late answers that nobody has taken in. */
  readonly lateAnswers = new Map<string, StoredAnswer>();
  private readonly lanes: StoredLane[];

  constructor(laneCount: number) {
    this.lanes = Array.from({ length: laneCount }, () => ({
      rows: [],
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
    return this.lane(lane).rows.filter((row) => row.endpointId === endpointId);
  }

  parkedRows(): number {
    return this.lanes.reduce((sum, { rows }) => sum + rows.length, 0);
  }

  /** Whoever takes a lane over gets a new epoch; from then on the one before writes nothing. */
  takeOver(lane: number): GainedLane {
    const stored = this.lane(lane);
    stored.epoch += 1;
    const { epoch, progress, mark, settledAhead, rows } = stored;
    const endpointIds = new Set(rows.map(({ endpointId }) => endpointId));
    const parked = [...endpointIds].map((endpointId) => {
      const own = this.rowsOf(lane, endpointId);
      const dueMs = own.map((row) => this.dueAtMs(lane, row) ?? Infinity);
      const nextDueAtMs = Math.min(...dueMs);
      return { endpointId, rows: own.length, nextDueAtMs };
    });
    const lateAnswers = [...this.lateAnswers.values()].filter((answer) => answer.lane === lane);
    const cursors = [...stored.cursors].map(([endpointId, cursor]) => ({ endpointId, cursor }));
    return { lane, epoch, progress, mark, settledAhead, parked, cursors, lateAnswers };
  }

  readDue(
    lane: number,
    claim: {
      readonly endpointId: string;
      readonly limit: number;
      readonly taken: ReadonlySet<number>;
    },
    nowMs: number,
  ): DueRows {
    const waiting = this.rowsOf(lane, claim.endpointId)
      .filter(({ event }) => !claim.taken.has(event.position))
      .map((row) => ({ row, dueMs: this.dueAtMs(lane, row) ?? Infinity }))
      .filter(({ dueMs }) => dueMs < Infinity)
      .toSorted((one, other) => one.dueMs - other.dueMs)
      .slice(0, claim.limit);
    const due = waiting.filter(({ dueMs }) => dueMs <= nowMs);
    const each = Math.max(1, Math.floor(claim.limit / Math.max(1, due.length)));
    const rows = due.flatMap(({ row }) => this.chain(lane, row).slice(0, each));
    return { rows, nextDueAtMs: waiting[due.length]?.dueMs };
  }

  /** A due row, and those that follow it in its pair. */
  private chain(lane: number, row: StoredRow): ClaimedRow[] {
    const behind = this.rowsOf(lane, row.endpointId)
      .filter(({ ordered, event }) => {
        const { invoiceId, position } = row.event;
        return ordered && event.invoiceId === invoiceId && event.position > position;
      })
      .toSorted((one, other) => one.event.position - other.event.position);
    return [
      { ...row, follows: false },
      ...(row.ordered ? behind.map((each) => ({ ...each, follows: true })) : []),
    ];
  }

  /** Reads the row that a late answer is for. */
  readAnswered({ lane, ...key }: StoredAnswer): ClaimedRow | undefined {
    const row = this.find(lane, key);
    return row && { ...row, follows: false };
  }

  /** Only the oldest row of a pair is due; the others wait behind it. */
  dueAtMs(lane: number, row: StoredRow): number | undefined {
    const isBehind = this.lane(lane).rows.some(
      (other) =>
        other.ordered &&
        row.ordered &&
        other.endpointId === row.endpointId &&
        other.event.invoiceId === row.event.invoiceId &&
        other.event.position < row.event.position,
    );
    return isBehind ? undefined : row.notBeforeMs;
  }

  write(written: LaneRecording): LaneRecorded {
    const { lane } = written;
    const stored = this.lane(lane);
    if (stored.epoch !== written.epoch) return { kind: 'refused', lane };
    for (const { event, endpointId, attempt, outcome, settlement } of written.attempts) {
      if (outcome !== undefined) {
        const key = `${deliveryKey(endpointId, lane, event.position)} ${attempt}`;
        if (this.logged.has(key)) this.loggedAgain += 1;
        this.logged.add(key);
      }
      if (settlement === undefined) continue;
      this.settled.set(deliveryKey(endpointId, lane, event.position), settlement);
    }
    for (const key of written.settledRows) this.remove(lane, key);
    for (const retry of written.retriedRows) {
      const row = this.find(lane, retry);
      if (row === undefined) continue;
      row.attempt = retry.attempt;
      row.inFlight = retry.inFlight;
      row.notBeforeMs = retry.notBeforeMs;
    }
    for (const row of written.parkedRows) {
      if (row.event.position > written.progress) throw new Error('A row lies above progress.');
      if (!this.insert(row)) throw new Error('A delivery was parked twice.');
    }
    for (const { endpointId, cursor } of written.movedCursors) {
      if (cursor === undefined) stored.cursors.delete(endpointId);
      else stored.cursors.set(endpointId, cursor);
    }
    for (const answerId of written.answersTaken) this.lateAnswers.delete(answerId);
    const revived = written.carriedOut.flatMap((request) => this.carryOut(lane, request));
    const cancelled = written.cancelEndpoints.map((endpointId) => this.cancel(lane, endpointId));
    const expired = written.expireEndpoints.map((endpointId) => {
      return this.end(lane, endpointId, written.expireBeforeMs);
    });
    stored.progress = written.progress;
    stored.mark = written.mark;
    stored.settledAhead = written.settledAhead;
    const listed = written.listEndpoints.map((endpointId) => ({
      endpointId,
      rows: this.rowsOf(lane, endpointId).map((row) => this.list(lane, row)),
    }));
    return { kind: 'recorded', lane, revived, cancelled, expired, listed };
  }

  private carryOut(lane: number, request: CarriedOut): RowKey[] {
    this.carriedOut.add(request.requestId);
    if (request.kind === 'retry_now') {
      const row = this.find(lane, request.row);
      if (row !== undefined && this.dueAtMs(lane, row) !== undefined) row.notBeforeMs = 0;
    }
    if (request.kind !== 'revive' || !this.insert(request.row)) return [];
    return [{ position: request.row.event.position, endpointId: request.row.endpointId }];
  }

  private cancel(lane: number, endpointId: string): EndedRows {
    return this.end(lane, endpointId, Infinity);
  }

  /** Without a time before which they happened, rows are cancelled. */
  private end(lane: number, endpointId: string, beforeMs: number): EndedRows {
    const rows = this.rowsOf(lane, endpointId)
      .filter(({ event }) => event.recordedAtMs < beforeMs)
      .slice(0, END_AT_MOST);
    for (const { event } of rows) {
      const settlement = beforeMs === Infinity ? 'cancelled' : 'dead';
      this.settled.set(deliveryKey(endpointId, lane, event.position), settlement);
      this.remove(lane, { position: event.position, endpointId });
    }
    return { endpointId, rows: rows.length, isAll: rows.length < END_AT_MOST };
  }

  private list(lane: number, row: StoredRow): ListedRow {
    const { event, ordered } = row;
    const dueAtMs = this.dueAtMs(lane, row);
    return { position: event.position, invoiceId: event.invoiceId, ordered, dueAtMs };
  }

  private insert(row: ParkedRow): boolean {
    const { lane, position } = row.event;
    if (this.find(lane, { position, endpointId: row.endpointId }) !== undefined) return false;
    this.lane(lane).rows.push({ ...row });
    return true;
  }

  private find(lane: number, key: RowKey): StoredRow | undefined {
    return this.lane(lane).rows.find((row) => isSame(row, key));
  }

  private remove(lane: number, key: RowKey): void {
    const { rows } = this.lane(lane);
    const index = rows.findIndex((row) => isSame(row, key));
    if (index >= 0) rows.splice(index, 1);
  }
}

function isSame(row: StoredRow, key: RowKey): boolean {
  return row.event.position === key.position && row.endpointId === key.endpointId;
}
