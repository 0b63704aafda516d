import { createPool, migrate, transaction, type Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, beforeEach } from 'vitest';

import type { LogEvent } from '../engine/delivery.ts';
import type { LaneRecorded, LaneRecording, ParkedRow } from '../engine/recording.ts';
import { addLanes } from './lanes.ts';
import { migrations, SCHEMA } from './migrations.ts';
import { writeRecording } from './record.ts';

export const LANE = 3;
export const ENDPOINT = `ep_${'a'.repeat(32)}`;
export const NOW_MS = Date.now();

/** The tables of a dispatcher on a real Postgres, empty before each test of a file. */
export interface Tables {
  readonly pool: Pool;
  /** Writes a recording of one lane. */
  readonly write: (overrides: Partial<LaneRecording>, number?: number) => Promise<LaneRecorded[]>;
}

export function useTables(): Tables {
  const database = useTestDatabase();
  let pool: Pool;

  beforeAll(async () => {
    pool = createPool({
      connectionString: database.connectionString,
      applicationName: 'test',
      maxConnections: 4,
      log: createLog({ level: 'silent', service: 'test' }),
    });
    await migrate(pool, { schema: SCHEMA, migrations });
  });

  beforeEach(async () => {
    await pool.query(`truncate dispatcher.parked, dispatcher.parked_event, dispatcher.attempt,
      dispatcher.lane_progress, dispatcher.owner_request`);
    await addLanes(pool, LANE + 1);
  });

  afterAll(() => pool.end());

  return {
    get pool() {
      return pool;
    },
    write(overrides, number = 1) {
      const lanes = [recordingOf(overrides)];
      return transaction(pool, (client) => writeRecording(client, number, lanes));
    },
  };
}

/** An event of the lane. */
export function event(position: number, invoiceId = 'invoice-1'): LogEvent {
  return {
    lane: LANE,
    position,
    id: `evt_${String(position).padStart(32, '0')}`,
    tenant: 'default',
    invoiceId,
    sequence: position,
    type: 'invoice_updated',
    recordedAtMs: NOW_MS,
    traceparent: undefined,
    offset: undefined,
    body: Buffer.from(`{"position":${position}}`),
  };
}

/** A row that waits for an endpoint. */
export function parked(position: number, overrides: Partial<ParkedRow> = {}): ParkedRow {
  return {
    event: event(position),
    endpointId: ENDPOINT,
    attempt: 0,
    inFlight: false,
    notBeforeMs: NOW_MS,
    ordered: true,
    ...overrides,
  };
}

/** What is recorded of the lane: nothing, but for what is given. */
export function recordingOf(overrides: Partial<LaneRecording>): LaneRecording {
  return {
    lane: LANE,
    epoch: 1,
    progress: 10,
    mark: { id: event(10).id, offset: undefined },
    settledAhead: [],
    attempts: [],
    settledRows: [],
    retriedRows: [],
    parkedRows: [],
    movedCursors: [],
    cancelEndpoints: [],
    expireEndpoints: [],
    expireBeforeMs: 0,
    carriedOut: [],
    answersTaken: [],
    listEndpoints: [],
    ...overrides,
  };
}
