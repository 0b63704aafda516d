import { DURATION_BUCKETS_SECONDS, type Counter, type Monitoring } from '@billhook/metrics';

import type { AttemptOutcome, Delivery, Settlement } from '../engine/delivery.ts';
import type { ClaimResult } from '../engine/effect.ts';
import type { LaneRecorded, LaneRecording, Recording } from '../engine/recording.ts';
import type { Refilled } from '../engine/refilling.ts';

/** Counts what is done to deliveries. Times are of `performance.now()`. */
export interface DeliveryMetrics {
  /** An attempt has ended. */
  attempted(delivery: Delivery, outcome: AttemptOutcome): void;
  /** A recording was committed, or refused for some of its lanes. */
  recorded(recording: Recording, results: readonly LaneRecorded[], beganAtMs: number): void;
  /** A claim was read. */
  claimed(results: readonly ClaimResult[], beganAtMs: number): void;
  /** The log was read again from cursors. */
  refilled(results: readonly Refilled[], beganAtMs: number): void;
  /** An answer is left to the next owner of its lane. */
  answeredLate(): void;
}

type OutcomeKind = AttemptOutcome['kind'];

/** Up to half a minute beyond the usual deadline, which is where those end that time out. */
const ATTEMPT_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 45];
/** From what an idle system takes to what a backlog of hours means. */
const LAG_BUCKETS_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200,
];

/** Makes them. None of what is called for each delivery allocates anything. */
export function createDeliveryMetrics(monitoring: Monitoring): DeliveryMetrics {
  const attempts = addAttemptMetrics(monitoring);
  const recordings = addRecordingMetrics(monitoring);
  const claims = addWorkMetrics(monitoring, {
    duration: 'billhook_dispatcher_claim_duration_seconds',
    took: 'How long it took to read rows that are due.',
    items: 'billhook_dispatcher_claimed_rows_total',
    brought: 'Rows that were taken up to be sent.',
  });
  const refills = addWorkMetrics(monitoring, {
    duration: 'billhook_dispatcher_refill_duration_seconds',
    took: 'How long it took to read the log again from cursors.',
    items: 'billhook_dispatcher_refilled_events_total',
    brought: 'Events that were read again from cursors.',
  });
  const failedRefills = monitoring.addCounter({
    name: 'billhook_dispatcher_refill_failures_total',
    help: 'Lanes that were to be read again from cursors and could not be; they are tried again.',
  });
  return {
    attempted: attempts,
    recorded: recordings.recorded,
    claimed(results, beganAtMs) {
      claims(count(results.map(({ rows }) => rows)), beganAtMs);
    },
    refilled(results, beganAtMs) {
      refills(count(results.map(({ events }) => events)), beganAtMs);
      failedRefills.add(results.filter(({ events }) => events.length === 0).length);
    },
    answeredLate: () => recordings.lateAnswersLeft.add(1),
  };
}

function addAttemptMetrics(monitoring: Monitoring): DeliveryMetrics['attempted'] {
  const ended = forOutcomes((outcome) =>
    monitoring.addCounter({
      name: 'billhook_dispatcher_attempts_total',
      help: 'Attempts that have ended, by their outcome.',
      labels: { outcome },
    }),
  );
  const durations = forOutcomes((outcome) =>
    monitoring.addHistogram({
      name: 'billhook_dispatcher_attempt_duration_seconds',
      help: 'How long attempts took, by their outcome.',
      labels: { outcome },
      buckets: ATTEMPT_BUCKETS_SECONDS,
    }),
  );
  const retries = monitoring.addCounter({
    name: 'billhook_dispatcher_retries_total',
    help: 'Attempts that have ended and were not the first of their delivery.',
  });
  const lag = monitoring.addHistogram({
    name: 'billhook_dispatcher_delivery_lag_seconds',
    help: 'From the time of an event until it was delivered, for first attempts.',
    buckets: LAG_BUCKETS_SECONDS,
  });
  return ({ attempt, event }, { kind, durationMs }) => {
    ended[kind].add(1);
    durations[kind].observe(durationMs / 1_000);
    if (attempt > 1) retries.add(1);
    // The clock of the store may be ahead of this one.
    else if (kind === 'delivered')
      lag.observe(Math.max(0, Date.now() - event.recordedAtMs) / 1_000);
  };
}

function forOutcomes<Made>(make: (outcome: OutcomeKind) => Made): Record<OutcomeKind, Made> {
  return {
    delivered: make('delivered'),
    rejected: make('rejected'),
    unreachable: make('unreachable'),
    refused: make('refused'),
  };
}

interface RecordingMetrics extends Pick<DeliveryMetrics, 'recorded'> {
  readonly lateAnswersLeft: Counter;
}

function addRecordingMetrics(monitoring: Monitoring): RecordingMetrics {
  const duration = monitoring.addHistogram({
    name: 'billhook_dispatcher_recording_duration_seconds',
    help: 'How long recordings took until they were committed or refused, repeats included.',
    buckets: DURATION_BUCKETS_SECONDS,
  });
  const rows = (kind: string): Counter =>
    monitoring.addCounter({
      name: 'billhook_dispatcher_recorded_rows_total',
      help: 'Rows that were written: attempts, and parked deliveries made, retried and removed.',
      labels: { kind },
    });
  const settlementsOf = (settlement: Settlement): Counter =>
    monitoring.addCounter({
      name: 'billhook_dispatcher_settlements_total',
      help: 'Deliveries that are recorded as settled, by how they ended.',
      labels: { settlement },
    });
  const lateAnswers = (kind: string): Counter =>
    monitoring.addCounter({
      name: 'billhook_dispatcher_late_answers_total',
      help: 'Answers to attempts whose lane was given up: left to the next owner, or taken from one.',
      labels: { kind },
    });
  const [attempts, parked, retried, removed, taken] = [
    rows('attempt'),
    rows('parked'),
    rows('retried'),
    rows('removed'),
    lateAnswers('taken'),
  ];
  const settlements: Record<Settlement, Counter> = {
    delivered: settlementsOf('delivered'),
    dead: settlementsOf('dead'),
    cancelled: settlementsOf('cancelled'),
  };

  function countLane(lane: LaneRecording): void {
    for (const { settlement } of lane.attempts) {
      if (settlement !== undefined) settlements[settlement].add(1);
    }
    attempts.add(lane.attempts.length);
    parked.add(lane.parkedRows.length);
    retried.add(lane.retriedRows.length);
    removed.add(lane.settledRows.length);
    taken.add(lane.answersTaken.length);
  }

  /** What ended as rows, without having been in memory. */
  function countRows({ revived, cancelled, expired }: LaneRecorded & { kind: 'recorded' }): void {
    parked.add(revived.length);
    for (const ended of cancelled) settlements.cancelled.add(ended.rows);
    for (const ended of expired) settlements.dead.add(ended.rows);
    for (const ended of [...cancelled, ...expired]) removed.add(ended.rows);
  }

  return {
    lateAnswersLeft: lateAnswers('left'),
    recorded(recording, results, beganAtMs) {
      duration.observe((performance.now() - beganAtMs) / 1_000);
      const written = new Set<number>();
      for (const result of results) {
        if (result.kind === 'refused') continue;
        written.add(result.lane);
        countRows(result);
      }
      for (const lane of recording.lanes) if (written.has(lane.lane)) countLane(lane);
    },
  };
}

/** Measures work that brings items. What is returned is called when it is done. */
function addWorkMetrics(
  monitoring: Monitoring,
  texts: Readonly<Record<'duration' | 'took' | 'items' | 'brought', string>>,
): (items: number, beganAtMs: number) => void {
  const duration = monitoring.addHistogram({
    name: texts.duration,
    help: texts.took,
    buckets: DURATION_BUCKETS_SECONDS,
  });
  const counter = monitoring.addCounter({ name: texts.items, help: texts.brought });
  return (items, beganAtMs) => {
    duration.observe((performance.now() - beganAtMs) / 1_000);
    counter.add(items);
  };
}

function count(lists: readonly (readonly unknown[])[]): number {
  return lists.reduce((sum, { length }) => sum + length, 0);
}
