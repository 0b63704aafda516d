import { setImmediate } from 'node:timers/promises';

import { createMonitoring, type Monitoring } from '@billhook/metrics';
import { isUnavailable, OutcomeUnknownError, type Pool } from '@billhook/postgres';
import { ServiceError, type Log } from '@billhook/runtime';

import type { AppendBell } from './append-bell.ts';
import { commitBatch, GuiltyCommandError, type BatchOptions } from './batch.ts';
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
 * Makes the event store of a process. Its tables must exist and its lanes be prepared.
 *
 * Commands wait in one bounded queue. While a batch commits, the next one gathers; there are no
 * timers. A batch that Postgres refuses is split and run again until only the guilty command fails.
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
  const listeners = [() => bell?.ring(), () => notifier?.notify()];
  let running: Promise<void> | undefined;
  let stopped = false;

  async function run(): Promise<void> {
    // What comes in the same turn of the event loop shares a batch. And `running` is set by then,
    // also when everything that waits is refused at once.
    await setImmediate();
    while (queue.length > 0) {
      const batch = queue.takeBatch(Date.now());
      if (batch.length === 0) continue;
      const appended = await settleBatch({ ...deps, ...options, metrics }, batch);
      if (appended) for (const listener of listeners) listener();
    }
    running = undefined;
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
    onAppended(listener) {
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
}

/** Gives every command of a batch its outcome. Returns whether anything may have been appended. */
async function settleBatch<Command extends Stream, Working, Answer>(
  options: SettleOptions<Command, Working, Answer>,
  batch: readonly PendingCommand<Command, Answer>[],
): Promise<boolean> {
  const { log, metrics } = options;
  try {
    const { outcomes, appended } = await metrics.committing(batch.length, () =>
      commitBatch(options, batch),
    );
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.kind === 'answered') batch[index]?.resolve(outcome.answer);
      else batch[index]?.reject(outcome.error);
    }
    return appended;
  } catch (error) {
    if (error instanceof OutcomeUnknownError || isUnavailable(error)) {
      log.warn({ err: error, commands: batch.length }, 'a batch was not committed');
      for (const pending of batch) pending.reject(unavailableBecause(error));
      return error instanceof OutcomeUnknownError;
    }
    const parts = split(batch, error);
    if (parts === undefined) {
      log.error({ err: error }, 'a command cannot be stored');
      batch[0]?.reject(new ServiceError('INTERNAL', 'INTERNAL', 'internal error'));
      return false;
    }
    let appended = false;
    for (const part of parts) appended = (await settleBatch(options, part)) || appended;
    return appended;
  }
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
