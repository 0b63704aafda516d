import { createMonitoring } from '@billhook/metrics';
import { expect, test } from 'vitest';

import type { AttemptOutcome, Delivery, Settlement } from '../engine/delivery.ts';
import { eventAt } from '../engine/engine.fixture.ts';
import { createEndpointLane } from '../engine/endpoint-lane.ts';
import { createEndpoint } from '../engine/endpoint.ts';
import { createLaneWindow } from '../engine/lane-window.ts';
import type { AttemptRecord } from '../engine/recording.ts';
import type { Refilled } from '../engine/refilling.ts';
import { recordingOf } from '../postgres/recording.fixture.ts';
import { createDeliveryMetrics } from './delivery-metrics.ts';

const event = eventAt(1, { recordedAtMs: Date.now() - 2_000 });
const window = createLaneWindow({
  lane: 0,
  epoch: 1,
  progress: 0,
  mark: undefined,
  settledAhead: [],
});

function delivery(attempt: number): Delivery {
  return {
    event,
    endpointLane: createEndpointLane(createEndpoint('ep_1', undefined), window, 0),
    ordered: true,
    state: 'in_flight',
    attempt,
    isUnanswered: false,
    entry: undefined,
    behind: undefined,
    origin: undefined,
    startedAtMs: 0,
    revision: 0,
    notBeforeMs: 0,
  };
}

function attemptOf(settlement: Settlement | undefined): AttemptRecord {
  const endpointId = 'ep_1';
  const of = { event, endpointId, attempt: 1, startedAtMs: 0, revision: 0 };
  return { ...of, outcome: undefined, reason: undefined, settlement };
}

function refilledOf(events: number): Refilled {
  const refill = {
    lane: 0,
    epoch: 1,
    after: 0,
    mark: undefined,
    limit: 500,
    endpointIds: new Set(['ep_1']),
  };
  return { refill, events: Array.from({ length: events }, () => ({ event, endpoints: [] })) };
}

/** The lines of the metrics that begin with a name, and are not 0. */
async function linesOf(monitoring: ReturnType<typeof createMonitoring>, name: string) {
  const lines = (await monitoring.text()).split('\n');
  return lines.filter((line) => line.startsWith(name) && !line.endsWith(' 0'));
}

test('attempts are counted by their outcome, and the lag of those that deliver at once', async () => {
  const monitoring = createMonitoring();
  const metrics = createDeliveryMetrics(monitoring);
  const delivered: AttemptOutcome = { kind: 'delivered', status: 204, durationMs: 30 };
  const rejected: AttemptOutcome = { kind: 'rejected', status: 500, durationMs: 30, snippet: '' };
  metrics.attempted(delivery(1), delivered);
  metrics.attempted(delivery(1), rejected);
  metrics.attempted(delivery(2), rejected);
  metrics.attempted(delivery(3), delivered);
  expect(await linesOf(monitoring, 'billhook_dispatcher_attempts_total')).toEqual([
    'billhook_dispatcher_attempts_total{outcome="delivered"} 2',
    'billhook_dispatcher_attempts_total{outcome="rejected"} 2',
  ]);
  expect(await linesOf(monitoring, 'billhook_dispatcher_retries_total')).toEqual([
    'billhook_dispatcher_retries_total 2',
  ]);
  const lag = await linesOf(monitoring, 'billhook_dispatcher_delivery_lag_seconds_bucket');
  expect(lag[0]).toBe('billhook_dispatcher_delivery_lag_seconds_bucket{le="2.5"} 1');
  const durations = await linesOf(monitoring, 'billhook_dispatcher_attempt_duration_seconds_b');
  expect(durations[0]).toBe(
    'billhook_dispatcher_attempt_duration_seconds_bucket{outcome="delivered",le="0.05"} 2',
  );
});

test('what a recording settled and wrote counts, but not where it was refused', async () => {
  const monitoring = createMonitoring();
  const metrics = createDeliveryMetrics(monitoring);
  const attempts = [attemptOf('delivered'), attemptOf('dead'), attemptOf(undefined)];
  const row = { position: 1, endpointId: 'ep_1' };
  const lanes = [
    recordingOf({ lane: 0, attempts, settledRows: [row], answersTaken: ['x'] }),
    recordingOf({ lane: 1, attempts }),
  ];
  metrics.recorded(
    { number: 1, lanes },
    [
      { kind: 'refused', lane: 1 },
      {
        kind: 'recorded',
        lane: 0,
        revived: [row],
        cancelled: [{ endpointId: 'ep_1', rows: 5, isAll: true }],
        expired: [{ endpointId: 'ep_1', rows: 7, isAll: true }],
        listed: [],
      },
    ],
    performance.now(),
  );
  metrics.answeredLate();
  expect(await linesOf(monitoring, 'billhook_dispatcher_settlements_total')).toEqual([
    'billhook_dispatcher_settlements_total{settlement="delivered"} 1',
    'billhook_dispatcher_settlements_total{settlement="dead"} 8',
    'billhook_dispatcher_settlements_total{settlement="cancelled"} 5',
  ]);
  expect(await linesOf(monitoring, 'billhook_dispatcher_recorded_rows_total')).toEqual([
    'billhook_dispatcher_recorded_rows_total{kind="attempt"} 3',
    'billhook_dispatcher_recorded_rows_total{kind="parked"} 1',
    'billhook_dispatcher_recorded_rows_total{kind="removed"} 13',
  ]);
  expect(await linesOf(monitoring, 'billhook_dispatcher_late_answers_total')).toEqual([
    'billhook_dispatcher_late_answers_total{kind="taken"} 1',
    'billhook_dispatcher_late_answers_total{kind="left"} 1',
  ]);
});

test('lanes that could not be read again from cursors are counted', async () => {
  const monitoring = createMonitoring();
  const metrics = createDeliveryMetrics(monitoring);
  metrics.refilled([refilledOf(3), refilledOf(0)], performance.now());
  metrics.refilled([refilledOf(0)], performance.now());
  expect(await linesOf(monitoring, 'billhook_dispatcher_refill')).toEqual(
    expect.arrayContaining([
      'billhook_dispatcher_refilled_events_total 3',
      'billhook_dispatcher_refill_failures_total 2',
    ]),
  );
});
