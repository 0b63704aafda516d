import type { ClaimedRow } from '../../effect.ts';
import type { ListedRow, ParkedRow, RowKey, RowRetry } from '../../recording.ts';

export interface StoredRow extends ParkedRow {
  attempt: number;
  inFlight: boolean;
  notBeforeMs: number;
  /** Absent while it waits behind another row of its pair. */
  dueAtMs: number | undefined;
}

/** Asks for rows that are due. */
export interface DueSearch {
  readonly endpointId: string;
  readonly limit: number;
  /** Positions of rows that are claimed already. */
  readonly taken: ReadonlySet<number>;
}

/** Rows that are due, as a claim reads them. */
export interface DueRows {
  readonly rows: readonly ClaimedRow[];
  readonly nextDueAtMs: number | undefined;
}

/** The parked rows of one lane. It does what the statements of `postgres/rows.ts` and `claim.ts` do. */
export class ParkedTable {
  private rows: StoredRow[] = [];

  all(): readonly StoredRow[] {
    return this.rows;
  }

  of(endpointId: string): StoredRow[] {
    return this.rows.filter((row) => row.endpointId === endpointId);
  }

  find({ position, endpointId }: RowKey): StoredRow | undefined {
    return this.rows.find((row) => isSame(row, position, endpointId));
  }

  /** Makes the next of each of their pairs due. Rows that are not there are no matter. */
  delete(keys: readonly RowKey[]): void {
    const deleted = this.remove(keys.flatMap((key) => this.find(key) ?? []));
    this.makeNextDue(deleted);
  }

  retry(retries: readonly RowRetry[]): void {
    for (const { position, endpointId, attempt, inFlight, notBeforeMs } of retries) {
      const row = this.find({ position, endpointId });
      if (row === undefined) continue;
      Object.assign(row, { attempt, inFlight, notBeforeMs, dueAtMs: notBeforeMs });
    }
  }

  /** A row is due only if nothing of its pair is there. Returns the rows that were not there before. */
  insert(rows: readonly ParkedRow[]): ParkedRow[] {
    const before = this.rows;
    const added = rows.filter(({ event, endpointId }) => {
      return !before.some((row) => isSame(row, event.position, endpointId));
    });
    this.rows = [...before];
    for (const row of added) {
      const waits = row.ordered && [...before, ...added].some((other) => isBehind(row, other));
      const follows = row.ordered && before.some((other) => isPair(row, other));
      const dueAtMs = waits || follows ? undefined : row.notBeforeMs;
      this.rows.push({ ...row, dueAtMs });
    }
    return added;
  }

  /** Before all that is due, unless it waits behind another row. */
  retryNow(key: RowKey): void {
    const row = this.find(key);
    if (row?.dueAtMs === undefined || row.inFlight) return;
    Object.assign(row, { notBeforeMs: 0, dueAtMs: 0 });
  }

  /** Takes all rows of an endpoint away, up to a bound. */
  cancel(endpointId: string, most: number): StoredRow[] {
    return this.remove(this.of(endpointId).slice(0, most));
  }

  /** Takes those rows of an endpoint away whose events happened before a time, up to a bound. */
  expire(endpointId: string, beforeMs: number, most: number): StoredRow[] {
    const old = this.of(endpointId)
      .filter(({ event }) => event.recordedAtMs < beforeMs)
      .toSorted(byPosition);
    const expired = this.remove(old.slice(0, most));
    this.makeNextDue(expired);
    return expired;
  }

  /** Due rows, earliest first, each with those that follow it, as far as the limit has room. */
  readDue({ endpointId, limit, taken }: DueSearch, nowMs: number): DueRows {
    const waiting = this.of(endpointId)
      .filter(({ event, dueAtMs }) => dueAtMs !== undefined && !taken.has(event.position))
      .toSorted((one, other) => (one.dueAtMs ?? 0) - (other.dueAtMs ?? 0))
      .slice(0, limit);
    const due = waiting.filter(({ dueAtMs = Infinity }) => dueAtMs <= nowMs);
    const followers = Math.floor(limit / Math.max(1, due.length)) - 1;
    const rows = due.flatMap((row) => [
      claimedOf(row, false),
      ...this.behind(row, followers).map((behind) => claimedOf(behind, true)),
    ]);
    return { rows, nextDueAtMs: waiting[due.length]?.dueAtMs };
  }

  list(endpointId: string): ListedRow[] {
    return this.of(endpointId).map(({ event, ordered, dueAtMs }) => {
      return { position: event.position, invoiceId: event.invoiceId, ordered, dueAtMs };
    });
  }

  private behind(row: StoredRow, most: number): StoredRow[] {
    if (!row.ordered || most <= 0) return [];
    const behind = this.rows.filter((other) => isBehind(other, row));
    return behind.toSorted(byPosition).slice(0, most);
  }

  private remove(rows: readonly StoredRow[]): StoredRow[] {
    const gone = new Set(rows);
    this.rows = this.rows.filter((row) => !gone.has(row));
    return [...gone];
  }

  private makeNextDue(pairs: readonly StoredRow[]): void {
    for (const pair of pairs) {
      const own = this.rows.filter((row) => isPair(pair, row)).toSorted(byPosition);
      const [oldest] = own;
      if (oldest !== undefined) oldest.dueAtMs ??= oldest.notBeforeMs;
    }
  }
}

function byPosition(one: ParkedRow, other: ParkedRow): number {
  return one.event.position - other.event.position;
}

function isSame(row: ParkedRow, position: number, endpointId: string): boolean {
  return row.event.position === position && row.endpointId === endpointId;
}

/** Whether an ordered row stands in the pair of another one. */
function isPair(one: ParkedRow, other: ParkedRow): boolean {
  const isOfEndpoint = other.endpointId === one.endpointId;
  return other.ordered && isOfEndpoint && other.event.invoiceId === one.event.invoiceId;
}

function isBehind(row: ParkedRow, other: ParkedRow): boolean {
  return row.ordered && isPair(row, other) && other.event.position < row.event.position;
}

function claimedOf(row: StoredRow, follows: boolean): ClaimedRow {
  const { event, attempt, inFlight, ordered } = row;
  return { event, attempt, inFlight, ordered, follows };
}
