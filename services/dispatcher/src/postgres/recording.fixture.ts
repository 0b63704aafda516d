import type { LogEvent } from '../engine/delivery.ts';
import type { Claim } from '../engine/effect.ts';
import { addClaimed, createEndpointLane } from '../engine/endpoint-lane.ts';
import { createEndpoint } from '../engine/endpoint.ts';
import { createLaneWindow } from '../engine/lane-window.ts';
import type { LaneRecording, ParkedRow } from '../engine/recording.ts';

export const LANE = 3;
export const ENDPOINT = `ep_${'a'.repeat(32)}`;
export const OTHER_ENDPOINT = `ep_${'b'.repeat(32)}`;
export const NOW_MS = Date.now();

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

/** A delivery of an event to `ENDPOINT` that becomes a row. */
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

/** A part of a recording in which nothing happened but what is named. */
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

/** A claim of rows of an endpoint in a lane, of which those at some positions are claimed already. */
export function claimOf({
  lane = LANE,
  endpointId = ENDPOINT,
  limit,
  claimed = [],
}: {
  readonly lane?: number;
  readonly endpointId?: string;
  readonly limit: number;
  readonly claimed?: readonly number[];
}): Claim {
  const window = createLaneWindow({
    lane,
    epoch: 1,
    progress: 0,
    mark: undefined,
    settledAhead: [],
  });
  const endpointLane = createEndpointLane(createEndpoint(endpointId, undefined), window, 1);
  for (const position of claimed) {
    addClaimed(endpointLane, {
      event: event(position),
      endpointLane,
      ordered: true,
      state: 'in_flight',
      attempt: 1,
      isUnanswered: false,
      entry: undefined,
      behind: undefined,
      origin: undefined,
      startedAtMs: NOW_MS,
      revision: 1,
      notBeforeMs: NOW_MS,
    });
  }
  return { endpointLane, limit };
}
