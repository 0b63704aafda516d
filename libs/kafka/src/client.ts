import type { Log } from '@billhook/runtime';
import kafkajs from 'kafkajs';
import type { Kafka, LogEntry, RetryOptions } from 'kafkajs';
import { stopIdleTimers } from './idle-timers.ts';
import { socketsUntil } from './sockets.ts';

export interface KafkaClientOptions {
  /** Each `host:port`. */
  readonly brokers: readonly string[];
  /** How the brokers' logs name this client. */
  readonly clientId: string;
  /** Ends all connections and attempts of everything that is made of this client. */
  readonly signal?: AbortSignal;
  /** How often an attempt to reach a broker is repeated; without end by default. */
  readonly retries?: number;
}

/**
 * Large and explicit, for the client and everything made of it: with KafkaJS's own defaults a send is
 * rejected during an outage, and `NODE_ENV=test` changes them.
 */
export const RETRY: Readonly<RetryOptions> = {
  retries: 1_000_000,
  initialRetryTime: 50,
  maxRetryTime: 500,
};

const CONNECTION_TIMEOUT_MS = 2_000;
const REQUEST_TIMEOUT_MS = 10_000;

/** Makes a client of KafkaJS; it connects nowhere yet. */
export function createKafkaClient(deps: { readonly log: Log }, options: KafkaClientOptions): Kafka {
  const { brokers, signal } = options;
  const retry = { ...RETRY, ...(options.retries !== undefined && { retries: options.retries }) };
  stopIdleTimers();
  return new kafkajs.Kafka({
    // Without a broker KafkaJS gives up.
    brokers: () => (signal?.aborted === true ? [] : [...brokers]),
    ...(signal === undefined ? {} : { socketFactory: socketsUntil(signal) }),
    clientId: options.clientId,
    retry,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => writeEntry(deps.log, entry),
  });
}

/** What KafkaJS calls an error is often one that it goes on to repeat: whoever uses it says what matters. */
function writeEntry(log: Log, { namespace, log: entry }: LogEntry): void {
  log.debug({ kafka: namespace, broker: entry['broker'], error: entry['error'] }, entry.message);
}
