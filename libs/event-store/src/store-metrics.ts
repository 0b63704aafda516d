import { DURATION_BUCKETS_SECONDS, type Counter, type Monitoring } from '@billhook/metrics';
import { ServiceError } from '@billhook/runtime';
import type { CommandQueue } from './command-queue.ts';

/** Counts what a store does. */
export interface StoreMetrics {
  /** A command came; it is counted when it has its answer. */
  readonly asked: (answer: Promise<unknown>) => void;
  /** Commits a batch of so many commands. */
  readonly committing: <Result>(commands: number, commit: () => Promise<Result>) => Promise<Result>;
}

type WaitingCommands = Pick<CommandQueue<unknown, unknown>, 'length' | 'bytes' | 'limits'>;

const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** Makes the metrics of a store, which is named after its schema. */
export function createStoreMetrics(
  monitoring: Monitoring,
  { store, queue }: { readonly store: string; readonly queue: WaitingCommands },
): StoreMetrics {
  const labels = { store };
  const answered = new Map<string, Counter>();
  const size = monitoring.addHistogram({
    name: 'billhook_store_batch_commands',
    help: 'Commands in a batch.',
    labels,
    buckets: BATCH_BUCKETS,
  });
  const duration = monitoring.addHistogram({
    name: 'billhook_store_batch_duration_seconds',
    help: 'How long the transaction of a batch took, committed or not.',
    labels,
    buckets: DURATION_BUCKETS_SECONDS,
  });
  const batches = (outcome: string): Counter =>
    monitoring.addCounter({
      name: 'billhook_store_batches_total',
      help: 'Batches that were committed or failed; one that Postgres refuses is split and run again.',
      labels: { ...labels, outcome },
    });
  const [committed, failed] = [batches('committed'), batches('failed')];
  addQueueGauges(monitoring, labels, queue);

  /** The codes are those of a ServiceError. */
  function counterOf(code: string): Counter {
    let counter = answered.get(code);
    if (counter === undefined) {
      counter = monitoring.addCounter({
        name: 'billhook_store_commands_total',
        help: 'Commands that were answered, by the code of the answer.',
        labels: { ...labels, code },
      });
      answered.set(code, counter);
    }
    return counter;
  }

  const accepted = counterOf('OK');
  return {
    asked(answer) {
      answer.then(
        () => accepted.add(1),
        (error: unknown) => {
          counterOf(error instanceof ServiceError ? error.code : 'INTERNAL').add(1);
        },
      );
    },
    async committing(commands, commit) {
      const beganAtMs = performance.now();
      size.observe(commands);
      let outcome = failed;
      try {
        const result = await commit();
        outcome = committed;
        return result;
      } finally {
        outcome.add(1);
        duration.observe((performance.now() - beganAtMs) / 1_000);
      }
    },
  };
}

function addQueueGauges(
  { addGauge }: Monitoring,
  labels: { readonly store: string },
  queue: WaitingCommands,
): void {
  const { maxCommands, maxBytes } = queue.limits;
  addGauge(
    { name: 'billhook_store_queued_commands', help: 'Commands that wait for a batch.', labels },
    () => queue.length,
  );
  addGauge(
    {
      name: 'billhook_store_queued_commands_limit',
      help: 'Beyond so many, commands are refused.',
      labels,
    },
    () => maxCommands,
  );
  addGauge(
    { name: 'billhook_store_queued_bytes', help: 'Bytes of the commands that wait.', labels },
    () => queue.bytes,
  );
  addGauge(
    {
      name: 'billhook_store_queued_limit_bytes',
      help: 'Beyond so many bytes, commands are refused.',
      labels,
    },
    () => maxBytes,
  );
}
