import { ServiceError } from '@billhook/runtime';

import type { AttemptOutcome } from '../engine/delivery.ts';
import { Fifo } from '../engine/fifo.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';

/** The bounds of the pings of one process. */
export interface PingLimits {
  /** Pings under way, for all calls together. */
  readonly maxUnderWay: number;
  /** How many of them may go to one scheme, host and port. */
  readonly maxPerOrigin: number;
  /** Pings that wait for those. A call that comes while none waits may bring more. */
  readonly maxWaiting: number;
}

export const PING_LIMITS: PingLimits = { maxUnderWay: 256, maxPerOrigin: 16, maxWaiting: 10_000 };

/** Sends one ping, and tells what came of it. */
export type SendPing = (
  endpoint: WatchedEndpoint,
  timeoutMs: number,
  onDone: (outcome: AttemptOutcome) => void,
) => void;

/** What is used of the limits. */
export interface PingUsage {
  readonly underWay: number;
  readonly waiting: number;
}

export interface PingQueue {
  /**
   * Pings endpoints as soon as there is room.
   *
   * @param until.deadlineMs on the clock of `performance.now()`; what has not begun by then times out.
   * @param until.signal when it aborts, no further one begins.
   * @returns an outcome for each endpoint, in their order, once those that began have ended.
   * @throws ServiceError `RESOURCE_EXHAUSTED` when too many wait already.
   */
  pingAll(
    endpoints: readonly WatchedEndpoint[],
    until: { readonly deadlineMs: number; readonly signal: AbortSignal },
  ): Promise<AttemptOutcome[]>;
  /** Says how many pings of all calls are under way, and how many wait. */
  usage(): PingUsage;
}

const NOT_BEGUN: AttemptOutcome = { kind: 'unreachable', durationMs: 0, detail: 'timed out' };

/** A ping that waits: which of its call it is. */
interface Ping {
  readonly endpoint: WatchedEndpoint;
  readonly index: number;
}

interface Call {
  /** What waits, by origin. The origins take turns: the one that was served last stands last. */
  readonly waiting: Map<string, Fifo<Ping>>;
  readonly deadlineMs: number;
  readonly outcomes: AttemptOutcome[];
  underWay: number;
  readonly onDone: () => void;
}

interface Next {
  readonly call: Call;
  readonly ping: Ping;
}

/** Makes the queue. Calls take turns, so that one for all endpoints does not keep others waiting. */
export function createPingQueue(send: SendPing, limits: PingLimits): PingQueue {
  /** Those of which something waits, the one that was served last at the end. */
  const calls = new Set<Call>();
  const underWayTo = new Map<string, number>();
  let underWay = 0;
  let waiting = 0;

  function beginAll(): void {
    while (underWay < limits.maxUnderWay) {
      const next = takeNext();
      if (next === undefined) return;
      begin(next);
    }
  }

  function takeNext(): Next | undefined {
    const nowMs = performance.now();
    for (const call of calls) {
      // Places become free by the same deadline: its own timer may come after them.
      if (call.deadlineMs <= nowMs) {
        giveUp(call);
        continue;
      }
      for (const [origin, pings] of call.waiting) {
        if ((underWayTo.get(origin) ?? 0) >= limits.maxPerOrigin) continue;
        const ping = pings.shift();
        call.waiting.delete(origin);
        if (pings.length > 0) call.waiting.set(origin, pings);
        calls.delete(call);
        if (call.waiting.size > 0) calls.add(call);
        if (ping !== undefined) return { call, ping };
      }
    }
    return undefined;
  }

  function begin({ call, ping: { endpoint, index } }: Next): void {
    waiting -= 1;
    count(call, endpoint, 1);
    const leftMs = Math.max(1, call.deadlineMs - performance.now());
    send(endpoint, leftMs, (outcome) => {
      call.outcomes[index] = outcome;
      count(call, endpoint, -1);
      beginAll();
      endIfDone(call);
    });
  }

  function count(call: Call, { origin }: WatchedEndpoint, change: 1 | -1): void {
    underWay += change;
    call.underWay += change;
    const toOrigin = (underWayTo.get(origin) ?? 0) + change;
    if (toOrigin > 0) underWayTo.set(origin, toOrigin);
    else underWayTo.delete(origin);
  }

  function endIfDone(call: Call): void {
    if (call.underWay === 0 && call.waiting.size === 0) call.onDone();
  }

  /** Nothing further of it begins. */
  function giveUp(call: Call): void {
    for (const pings of call.waiting.values()) waiting -= pings.length;
    call.waiting.clear();
    calls.delete(call);
    endIfDone(call);
  }

  return {
    usage: () => ({ underWay, waiting }),
    async pingAll(endpoints, { deadlineMs, signal }) {
      if (endpoints.length === 0) return [];
      if (waiting > 0 && waiting + endpoints.length > limits.maxWaiting) {
        const message = 'too many pings wait already; try again in a few seconds';
        throw new ServiceError('RESOURCE_EXHAUSTED', 'TOO_MANY_PINGS', message);
      }
      const { promise: done, resolve: onDone } = Promise.withResolvers<void>();
      const outcomes = endpoints.map(() => NOT_BEGUN);
      const call = { waiting: byOrigin(endpoints), deadlineMs, outcomes, underWay: 0, onDone };
      waiting += endpoints.length;
      calls.add(call);
      const onEnd = () => giveUp(call);
      const timer = setTimeout(onEnd, deadlineMs - performance.now());
      signal.addEventListener('abort', onEnd, { once: true });
      if (signal.aborted) onEnd();
      beginAll();
      await done;
      clearTimeout(timer);
      signal.removeEventListener('abort', onEnd);
      return outcomes;
    },
  };
}

function byOrigin(endpoints: readonly WatchedEndpoint[]): Map<string, Fifo<Ping>> {
  const waiting = new Map<string, Fifo<Ping>>();
  for (const [index, endpoint] of endpoints.entries()) {
    const pings = waiting.get(endpoint.origin) ?? new Fifo<Ping>();
    waiting.set(endpoint.origin, pings);
    pings.push({ endpoint, index });
  }
  return waiting;
}
