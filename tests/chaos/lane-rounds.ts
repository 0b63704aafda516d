import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { laneOf } from '@billhook/event-store';
import type { Endpoints } from '../kills/endpoints.ts';
import type { Mutations } from '../kills/mutations.ts';

/** One fresh event in each lane: from the first call to the arrival of the last one. */
export interface LaneRound {
  readonly beganAtMs: number;
  readonly endedAtMs: number;
}

/** Makes fresh events in all lanes, again and again, and sees when the healthy endpoints have them. */
export interface LaneRounds {
  readonly rounds: readonly LaneRound[];
  /** Waits for a quick round that began after now. Returns whether one came in time. */
  awaitNormal(timeoutMs: number): Promise<boolean>;
  /** Ends with the round that is under way. */
  finish(): Promise<void>;
}

/** What a round may take while nothing is wrong, on a busy machine. Normal are about 50 ms. */
export const QUICK_MS = 1_500;

const TENANT = 'default';
const PAUSE_MS = 250;
const POLL_MS = 10;

/** Starts the rounds. */
export function startLaneRounds(
  { mutations, endpoints }: { readonly mutations: Mutations; readonly endpoints: Endpoints },
  lanes: number,
): LaneRounds {
  const rounds: LaneRound[] = [];
  const finishing = new AbortController();

  async function runOnce(): Promise<void> {
    const beganAtMs = Date.now();
    const events = Array.from({ length: lanes }, (_, lane) => ({
      invoiceId: invoiceIn(lane, lanes),
      sequence: 1,
    }));
    await Promise.all(events.map(({ invoiceId }) => mutations.create(invoiceId)));
    const hasAll = () =>
      endpoints.healthy.every((name) =>
        events.every((event) => endpoints.hasAccepted(name, event)),
      );
    while (!hasAll() && !finishing.signal.aborted) await sleep(POLL_MS);
    rounds.push({ beganAtMs, endedAtMs: Date.now() });
  }

  async function run(): Promise<void> {
    while (!finishing.signal.aborted) {
      await runOnce();
      await sleep(PAUSE_MS);
    }
  }

  const running = run();
  return {
    rounds,
    async awaitNormal(timeoutMs) {
      const sinceMs = Date.now();
      const isQuick = ({ beganAtMs, endedAtMs }: LaneRound) =>
        beganAtMs >= sinceMs && endedAtMs - beganAtMs <= QUICK_MS;
      while (Date.now() - sinceMs < timeoutMs) {
        if (rounds.some(isQuick)) return true;
        await sleep(POLL_MS);
      }
      return false;
    },
    async finish() {
      finishing.abort();
      await running;
    },
  };
}

/**
 * Says how long delivery was not normal: until the end of the last round that was slow, of those that
 * touch the time between the fault and the next quick round after it was over. 0 if none was slow.
 */
export function timeToNormalMs(
  rounds: readonly LaneRound[],
  fault: { readonly beganAtMs: number; readonly normalAtMs: number },
): number {
  const slow = rounds.filter(
    ({ beganAtMs, endedAtMs }) =>
      endedAtMs > fault.beganAtMs &&
      beganAtMs < fault.normalAtMs &&
      endedAtMs - beganAtMs > QUICK_MS,
  );
  return Math.max(0, ...slow.map(({ endedAtMs }) => endedAtMs - fault.beganAtMs));
}

/** An invoice that nobody has, in the lane that is wanted: ids are spread evenly. */
function invoiceIn(lane: number, lanes: number): string {
  for (;;) {
    const invoiceId = `round-${randomUUID()}`;
    if (laneOf(TENANT, invoiceId, lanes) === lane) return invoiceId;
  }
}
