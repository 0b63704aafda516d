import { setImmediate } from 'node:timers/promises';

import { createMonitoring, type Monitoring } from '@billhook/metrics';
import { isUnavailable, OutcomeUnknownError, type Pool } from '@billhook/postgres';
import { ServiceError, type Log } from '@billhook/runtime';

import type { AppendBell, Appended } from './append-bell.ts';
import {
  commitBatch,
  GuiltyCommandError,
  type BatchOptions,
  type CommittedBatch,
} from './batch.ts';
import { CommandQueue, type PendingCommand, type QueueLimits } from './command-queue.ts';
import type { Aggregate, EventStore, Stream } from './event-store.ts';
import { laneOf } from './lane.ts';
import { createNotifier } from './notifier.ts';
import { createStoreMetrics, type StoreMetrics } from './store-metrics.ts';

export interface EventStoreOptions {
  readonly schema: string;
  readonly lanes: number;
  /** How long a `request_id` is remembered. */
  readonly requestIdRetentionMs: number;
  /** Bounds of the queue; the defaults suit one process. */
  readonly limits?: Partial<QueueLimits>;
}

const DEFAULT_LIMITS: QueueLimits = {
  maxCommands: 4_096,
  maxBytes: 32 * 1024 * 1024,
  maxBatchCommands: 512,
  maxBatchBytes: 4 * 1024 * 1024,
};

/**
 * How long after a batch the next one may wait for more commands: as long as that batch took, and no
 * longer than this. What a batch costs hardly depends on its size, so that fewer of them save a tenth of
 * the processor time (`docs/performance.md`, "What bounds it").
 */
const LONGEST_GATHER_MS = 4;

/**
 * Makes the event store of a process. Its tables must exist and its lanes be prepared.
 *
 * Commands wait in one bounded queue. While a batch commits, and for a moment after it, the next one
 * gathers; a single caller, who waits for each answer, does not wait for that. A batch that Postgres refuses is split and run again
 * until only the guilty command fails.
 */
export function createEventStore<Command extends Stream, Working, Answer>(
  deps: {
    readonly pool: Pool;
    readonly aggregate: Aggregate<Command, Working, Answer>;
    readonly log: Log;
    /** Rung after each append. Unless it reaches all readers, Postgres tells them as well. */
    readonly bell?: AppendBell | undefined;
    /** Where it shows how it does; nowhere unless given. */
    readonly monitoring?: Monitoring;
  },
  options: EventStoreOptions,
): EventStore<Command, Answer> {
  const queue = new CommandQueue<Command, Answer>({ ...DEFAULT_LIMITS, ...options.limits });
  const { bell, monitoring = createMonitoring() } = deps;
  const metrics = createStoreMetrics(monitoring, { store: options.schema, queue });
  const notification = { channel: `${options.schema}_appended`, payload: bell?.id };
  const notifier = bell?.reachesAll ? undefined : createNotifier(deps, notification);
  const listeners: ((appended: Appended) => void)[] = [];
  let running: Promise<void> | undefined;
  let stopped = false;

  function tell(appended: Appended): void {
    if (appended.length > 0) {
      bell?.ring(appended);
      notifier?.notify();
    }
    for (const listener of listeners) listener(appended);
  }

  async function run(): Promise<void> {
    // What comes in the same turn of the event loop shares a batch. And `running` is set by then,
    // also when everything that waits is refused at once.
    await setImmediate();
    while (queue.length > 0) {
      const batch = queue.takeBatch(Date.now());
      if (batch.length === 0) continue;
      const beganMs = performance.now();
      await settleBatch({ ...deps, ...options, metrics, tell }, batch);
      await gather(batch.length, performance.now() - beganMs);
    }
    running = undefined;
  }

  /**
   * Waits for the next batch to be worth its cost. Whoever calls again as soon as it is answered is there
   * again by then, together with those that wait: when as many have come, nobody else is to be expected.
   */
  async function gather(answered: number, tookMs: number): Promise<void> {
    const { maxBatchCommands, maxBatchBytes } = queue.limits;
    const expected = Math.min(answered + queue.length, maxBatchCommands);
    if (expected === 1 || queue.bytes >= maxBatchBytes || stopped) return;
    await queue.reaches(expected, Math.min(tookMs, LONGEST_GATHER_MS));
  }

  return {
    execute(request) {
      if (stopped) return Promise.reject(unavailable('STOPPING', 'the service is stopping'));
      const { tenant, streamId } = request.command;
      const answer = new Promise<Answer>((resolve, reject) => {
        queue.push({ request, lane: laneOf(tenant, streamId, options.lanes), resolve, reject });
        running ??= run();
      });
      metrics.asked(answer);
      return answer;
    },
    onCommitted(listener) {
      listeners.push(listener);
    },
    async stop() {
      stopped = true;
      await running;
      await notifier?.stop();
    },
  };
}

interface SettleOptions<Command extends Stream, Working, Answer> extends BatchOptions<
  Command,
  Working,
  Answer
> {
  readonly log: Log;
  readonly metrics: StoreMetrics;
  /** Told of every commit before its commands are answered: nobody may know of it sooner. */
  readonly tell: (appended: Appended) => void;
}

/** Gives every command of a batch its outcome. */
async function settleBatch<Command extends Stream, Working, Answer>(
  options: SettleOptions<Command, Working, Answer>,
  batch: readonly PendingCommand<Command, Answer>[],
): Promise<void> {
  const { metrics, tell } = options;
  let committed: CommittedBatch<Answer>;
  try {
    committed = await metrics.committing(batch.length, () => commitBatch(options, batch));
  } catch (error) {
    return settleFailed(options, batch, error);
  }
  const { outcomes, events } = committed;
  tell(events);
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.kind === 'answered') batch[index]?.resolve(outcome.answer);
    else batch[index]?.reject(outcome.error);
  }
}

/** Tells the commands of a batch that failed why, or runs its parts. */
async function settleFailed<Command extends Stream, Working, Answer>(
  options: SettleOptions<Command, Working, Answer>,
  batch: readonly PendingCommand<Command, Answer>[],
  error: unknown,
): Promise<void> {
  const { log, tell } = options;
  if (error instanceof OutcomeUnknownError || isUnavailable(error)) {
    if (error instanceof OutcomeUnknownError) tell('unknown');
    log.warn({ err: error, commands: batch.length }, 'a batch was not committed');
    for (const pending of batch) pending.reject(unavailableBecause(error));
    return;
  }
  const parts = split(batch, error);
  if (parts === undefined) {
    log.error({ err: error }, 'a command cannot be stored');
    batch[0]?.reject(new ServiceError('INTERNAL', 'INTERNAL', 'internal error'));
    return;
  }
  for (const part of parts) await settleBatch(options, part);
}

/** Parts a batch so that the guilty command is alone at last; undefined when it is. */
function split<Command, Answer>(
  batch: readonly PendingCommand<Command, Answer>[],
  error: unknown,
): readonly (readonly PendingCommand<Command, Answer>[])[] | undefined {
  if (batch.length <= 1) return undefined;
  if (error instanceof GuiltyCommandError) {
    const { index } = error;
    const rest = batch.filter((_, other) => other !== index);
    return [batch.slice(index, index + 1), rest];
  }
  const middle = Math.ceil(batch.length / 2);
  return [batch.slice(0, middle), batch.slice(middle)];
}

function unavailableBecause(error: unknown): ServiceError {
  if (error instanceof OutcomeUnknownError) {
    const message =
      'it is not known whether the change was made; repeat it with the same request_id';
    return unavailable('OUTCOME_UNKNOWN', message);
  }
  return unavailable('STORE_UNAVAILABLE', 'the store is not available; nothing was changed');
}

function unavailable(reason: string, message: string): ServiceError {
  return new ServiceError('UNAVAILABLE', reason, message);
}
