import type { AttemptOutcome, Delivery, LogEvent } from './delivery.ts';
import type { Claim, ClaimResult, Effect, Now } from './effect.ts';
import type { EndpointView } from './endpoint.ts';
import { Engine } from './engine.ts';
import { DEFAULT_LIMITS, type EngineLimits } from './limits.ts';
import type { MatchedSlice } from './matching.ts';
import type { LaneRecorded, ParkedRow, Recording } from './recording.ts';

/** Numbers in [0, 1) from a seed: the mulberry32 generator. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface StoredRow extends ParkedRow {
  attempt: number;
  notBeforeMs: number;
}

interface StoredLane {
  readonly events: LogEvent[];
  readonly rows: StoredRow[];
  epoch: number;
  progress: number;
  settledAhead: readonly { readonly position: number; readonly endpointId: string }[];
}

/** How a receiver answers, and how the world around the engine behaves. */
export interface Behaviour {
  readonly failureRate: number;
  readonly hangRate: number;
  readonly refusedRecordingRate: number;
}

const RETRY_SCHEDULE_MS = [2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000, 8_000, 8_000, 8_000];
const DELIVERY_TIMEOUT_MS = 5_000;

/**
 * A world around the engine: log, store, receivers and clock in memory, all from one seed. Every
 * effect is answered later, in any order.
 */
export class Simulation {
  readonly lanes: StoredLane[];
  readonly views = new Map<string, EndpointView>();
  /** First successes, in order, by pair. */
  readonly received = new Map<string, number[]>();
  readonly settled = new Map<string, string>();
  behaviour: Behaviour;
  sends = 0;
  /** Sends of what was recorded as delivered before: there must be none. */
  needlessSends = 0;

  private readonly random: () => number;
  private nowMs = 1_000_000;
  private engine: Engine;
  private pending: { readonly atMs: number; readonly run: () => void }[] = [];

  constructor(seed: number, laneCount: number, behaviour: Behaviour) {
    this.random = createRandom(seed);
    this.behaviour = behaviour;
    this.lanes = Array.from({ length: laneCount }, () => ({
      events: [],
      rows: [],
      epoch: 0,
      progress: 0,
      settledAhead: [],
    }));
    this.engine = this.start();
  }

  append(lane: number, invoiceId: string, sequence: number): void {
    const { events } = this.lane(lane);
    const position = events.length + 1;
    events.push({
      lane,
      position,
      id: `evt_${lane}_${position}`,
      tenant: 'default',
      invoiceId,
      sequence,
      type: 'invoice_updated',
      recordedAtMs: this.nowMs,
      traceparent: undefined,
      body: Buffer.from('{}'),
    });
  }

  setEndpoint(endpointId: string, state: EndpointView['state'] | undefined): void {
    if (state === undefined) this.views.delete(endpointId);
    else this.views.set(endpointId, { endpointId, tenant: 'default', state });
    this.input((engine, now) => engine.endpointsChanged([endpointId], now));
  }

  /** The process dies between any two effects, and another one takes the lanes over. */
  crash(): void {
    this.pending = [];
    this.engine = this.start();
  }

  /** Lets time pass, reading and answering on the way. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    while (this.nowMs < endMs) {
      this.read();
      this.pending.sort((one, other) => one.atMs - other.atMs);
      const next = this.pending[0];
      const stepMs = 10;
      if (next !== undefined && next.atMs <= this.nowMs + stepMs) {
        this.pending.shift();
        this.nowMs = Math.max(this.nowMs, next.atMs);
        next.run();
      } else {
        this.nowMs += stepMs;
        this.input((engine, now) => engine.tick(now));
      }
    }
  }

  usage(): ReturnType<Engine['usage']> {
    return this.engine.usage();
  }

  parkedRows(): number {
    return this.lanes.reduce((sum, { rows }) => sum + rows.length, 0);
  }

  private lane(lane: number): StoredLane {
    const stored = this.lanes[lane];
    if (stored === undefined) throw new Error(`There is no lane ${lane}.`);
    return stored;
  }

  private now(): Now {
    return { wallMs: this.nowMs, monotonicMs: this.nowMs };
  }

  private start(): Engine {
    const limits: EngineLimits = {
      ...DEFAULT_LIMITS,
      maxInFlightPerEndpoint: 4,
      maxClaimedPerEndpoint: 8,
      maxWindowEvents: 50,
      maxReadEvents: 7,
      maxHeld: 200,
    };
    this.engine = new Engine({
      retryScheduleMs: RETRY_SCHEDULE_MS,
      deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
      retentionMs: 86_400_000,
      limits,
      random: this.random,
      revision: () => 1,
      view: (endpointId) => this.views.get(endpointId),
      matches: () => true,
    });
    this.engine.leaseExtended(Infinity, this.now());
    for (const lane of this.lanes.keys()) this.gain(lane);
    return this.engine;
  }

  private gain(lane: number): void {
    const stored = this.lane(lane);
    stored.epoch += 1;
    const counts = new Map<string, { rows: number; nextDueAtMs: number }>();
    for (const row of stored.rows) {
      const count = counts.get(row.endpointId) ?? { rows: 0, nextDueAtMs: Infinity };
      count.rows += 1;
      count.nextDueAtMs = Math.min(count.nextDueAtMs, dueAtMs(stored, row) ?? Infinity);
      counts.set(row.endpointId, count);
    }
    const parked = [...counts].map(([endpointId, count]) => ({ endpointId, ...count }));
    const { epoch, progress, settledAhead } = stored;
    this.input((engine, now) =>
      engine.laneGained({ lane, epoch, progress, settledAhead, parked }, now),
    );
  }

  private read(): void {
    const slices: MatchedSlice[] = [];
    for (const { lane, epoch, after, limit } of this.engine.readRequests()) {
      const events = this.lane(lane).events.slice(after, after + limit);
      const matched = events.map((event) => ({ event, endpoints: [...this.views.values()] }));
      if (matched.length > 0) slices.push({ lane, epoch, events: matched });
    }
    if (slices.length > 0) this.input((engine, now) => engine.eventsRead(slices, now));
  }

  private input(give: (engine: Engine, now: Now) => void): void {
    give(this.engine, this.now());
    for (const effect of this.engine.takeEffects()) this.carryOut(effect);
  }

  private later(maxMs: number, run: () => void): void {
    this.pending.push({ atMs: this.nowMs + this.random() * maxMs, run });
  }

  private carryOut(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return this.send(effect.delivery);
      case 'record':
        return this.later(30, () => this.record(effect.recording));
      case 'claim':
        return this.later(20, () => this.claim(effect.claims));
      case 'lost':
        return this.later(50, () => this.gain(effect.lane));
      case 'report_gone':
        return this.later(50, () => this.setEndpoint(effect.endpointId, 'disabled'));
      case 'release':
        return undefined;
    }
  }

  private send(delivery: Delivery): void {
    const { event, endpointLane } = delivery;
    const hangs = this.random() < this.behaviour.hangRate;
    const fails = hangs || this.random() < this.behaviour.failureRate;
    this.sends += 1;
    const key = `${endpointLane.endpoint.id} ${event.id}`;
    if (this.settled.get(key) === 'delivered') this.needlessSends += 1;
    // A receiver sees the request at once; only its answer is late.
    if (!fails) this.receive(endpointLane.endpoint.id, event);
    const outcome: AttemptOutcome = fails
      ? { kind: 'unreachable', durationMs: 1, detail: 'simulated' }
      : { kind: 'delivered', status: 204, durationMs: 1 };
    const engine = this.engine;
    this.later(hangs ? DELIVERY_TIMEOUT_MS : 20, () => {
      if (engine === this.engine) this.input((it, now) => it.answered({ delivery, outcome }, now));
    });
  }

  private receive(endpointId: string, event: LogEvent): void {
    const pair = `${endpointId} ${event.invoiceId}`;
    const sequences = this.received.get(pair) ?? [];
    if (!sequences.includes(event.sequence)) sequences.push(event.sequence);
    this.received.set(pair, sequences);
  }

  private record(recording: Recording): void {
    const results: LaneRecorded[] = [];
    for (const written of recording.lanes) {
      const stored = this.lane(written.lane);
      const isRefused = this.random() < this.behaviour.refusedRecordingRate;
      if (isRefused || stored.epoch !== written.epoch) {
        results.push({ kind: 'refused', lane: written.lane });
        continue;
      }
      results.push(this.recordLane(stored, written));
    }
    this.input((engine, now) => engine.recorded(recording, results, now));
  }

  private recordLane(stored: StoredLane, written: Recording['lanes'][number]): LaneRecorded {
    for (const { event, endpointId, settlement } of written.attempts) {
      if (settlement !== undefined) this.settled.set(`${endpointId} ${event.id}`, settlement);
    }
    for (const key of written.settledRows) removeRow(stored, key);
    for (const retry of written.retriedRows) {
      const row = stored.rows.find((other) => isSame(other, retry));
      if (row === undefined) continue;
      row.attempt = retry.attempt;
      row.notBeforeMs = retry.notBeforeMs;
    }
    for (const row of written.parkedRows) {
      if (stored.rows.some((other) => isSame(other, { ...row, position: row.event.position }))) {
        throw new Error('A delivery was parked twice.');
      }
      stored.rows.push({ ...row });
    }
    const cancelled = written.cancelEndpoints.map((endpointId) => {
      const rows = stored.rows.filter((row) => row.endpointId === endpointId);
      for (const row of rows) removeRow(stored, { position: row.event.position, endpointId });
      return { endpointId, rows: rows.length };
    });
    stored.progress = written.progress;
    stored.settledAhead = written.settledAhead;
    const listed = written.listEndpoints.map((endpointId) => ({
      endpointId,
      rows: stored.rows
        .filter((row) => row.endpointId === endpointId)
        .map((row) => ({
          position: row.event.position,
          invoiceId: row.event.invoiceId,
          ordered: row.ordered,
          dueAtMs: dueAtMs(stored, row),
        })),
    }));
    return { kind: 'recorded', lane: written.lane, cancelled, listed };
  }

  private claim(claims: readonly Claim[]): void {
    const results = claims.map((claim): ClaimResult => {
      const { window, endpoint, claimed } = claim.endpointLane;
      const stored = this.lane(window.lane);
      const rows = stored.rows
        .filter((row) => row.endpointId === endpoint.id && !claimed.has(row.event.position))
        .map((row) => ({ row, dueMs: dueAtMs(stored, row) ?? Infinity }))
        .filter(({ dueMs }) => dueMs < Infinity)
        .sort((one, other) => one.dueMs - other.dueMs);
      const due = rows.filter(({ dueMs }) => dueMs <= this.nowMs).slice(0, claim.limit);
      return {
        claim,
        rows: due.map(({ row }) => ({ ...row })),
        nextDueAtMs: rows[due.length]?.dueMs,
      };
    });
    this.input((engine, now) => engine.claimed(results, now));
  }
}

function isSame(
  row: StoredRow,
  key: { readonly position: number; readonly endpointId: string },
): boolean {
  return row.event.position === key.position && row.endpointId === key.endpointId;
}

function removeRow(
  stored: StoredLane,
  key: { readonly position: number; readonly endpointId: string },
): void {
  const index = stored.rows.findIndex((row) => isSame(row, key));
  if (index >= 0) stored.rows.splice(index, 1);
}

/** Only the oldest row of a pair is due; the others wait behind it. */
function dueAtMs(stored: StoredLane, row: StoredRow): number | undefined {
  const isBehind = stored.rows.some(
    (other) =>
      other.ordered &&
      row.ordered &&
      other.endpointId === row.endpointId &&
      other.event.invoiceId === row.event.invoiceId &&
      other.event.position < row.event.position,
  );
  return isBehind ? undefined : row.notBeforeMs;
}
