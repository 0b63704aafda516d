import { randomUUID } from 'node:crypto';

import { subscriptionV1 } from '@billhook/contracts';
import { createMonitoring, type Monitoring } from '@billhook/metrics';
import { createPool, type Pool } from '@billhook/postgres';
import { createLog, type Log, type RunningService } from '@billhook/runtime';
import { createKey, createSecret, createSecretBox, type EndpointHeader } from '@billhook/secrets';
import {
  startReceiver,
  useTestDatabase,
  type AnswerRequest,
  type ReceivedRequest,
  type Receiver,
} from '@billhook/testing';
import { afterAll, afterEach, beforeAll } from 'vitest';

import type { DispatcherConfig } from './config.ts';
import { startDispatcherService } from './dispatcher-service.ts';
import { startInvoiceLog, type InvoiceLog } from './invoice-log.fixture.ts';
import { endpoint } from './subscriptions/messages.fixture.ts';
import { DEFAULT_LIMITS } from './engine/limits.ts';
import {
  startSubscriptionSet,
  type SubscriptionSet,
} from './subscriptions/subscription-set.fixture.ts';

/** The deadline of a delivery. */
export const TIMEOUT_MS = 2_000;

const silent = createLog({ level: 'silent', service: 'test' });

/** Dispatchers on a real Postgres, with real receivers. All of a test ends with it. */
export interface Dispatchers {
  readonly database: { readonly connectionString: string };
  /** To look at what is recorded. */
  readonly pool: Pool;
  readonly set: SubscriptionSet;
  readonly start: (
    overrides?: Partial<DispatcherConfig>,
    log?: Log,
    monitoring?: Monitoring,
  ) => Promise<RunningService>;
  readonly receive: (answer?: AnswerRequest) => Promise<Receiver>;
  /** Registers a receiver for everything from now on. Returns what changes the endpoint. */
  readonly register: (receiver: Receiver, settings?: EndpointSettings) => PutEndpoint;
  readonly unregisterAll: () => void;
  /** Appends so many events to each invoice, one after the other. */
  readonly appendToEach: (ids: readonly string[], events: number) => Promise<void>;
  readonly parkedRows: () => Promise<number>;
}

/** What an endpoint has of its own. */
export interface EndpointSettings extends Partial<
  Pick<
    subscriptionV1.WatchedEndpoint,
    'timeout' | 'maxInFlight' | 'circuitFailures' | 'circuitLongestWait'
  >
> {
  readonly headers?: readonly EndpointHeader[];
  readonly filter?: object;
}

/** Gives an endpoint another state, and other settings in place of all that it had. */
export type PutEndpoint = (
  state: subscriptionV1.EndpointState,
  settings?: EndpointSettings,
) => void;

/** Prepares a database and a set of endpoints for the tests of a file. */
export function useDispatchers({ lanes }: { readonly lanes: number }): Dispatchers {
  const database = useTestDatabase();
  const key = createKey();
  const secretBox = createSecretBox([key]);
  let pool: Pool;
  let invoices: InvoiceLog;
  let set: SubscriptionSet;
  let running: RunningService[] = [];
  let receivers: Receiver[] = [];
  let registered: string[] = [];

  beforeAll(async () => {
    const { connectionString } = database;
    pool = createPool({
      connectionString,
      applicationName: 'test',
      maxConnections: 2,
      log: silent,
    });
    invoices = await startInvoiceLog({ connectionString, log: silent }, { lanes });
    set = await startSubscriptionSet();
  });

  afterEach(async () => {
    unregisterAll();
    await Promise.all(running.map((each) => each.stop()));
    running = [];
    for (const receiver of receivers) await receiver.close();
    receivers = [];
  });

  afterAll(async () => {
    await invoices.stop();
    await set.stop();
    await pool.end();
  });

  function unregisterAll(): void {
    for (const endpointId of registered) set.unregister(endpointId);
    registered = [];
  }

  return {
    database,
    get pool() {
      return pool;
    },
    get set() {
      return set;
    },
    unregisterAll,
    async start(overrides = {}, log = silent, monitoring = createMonitoring()) {
      const service = await startDispatcherService(
        {
          address: { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' },
          databaseUrl: database.connectionString,
          subscriptionTarget: `127.0.0.1:${set.port}`,
          lanes,
          kafka: undefined,
          retryScheduleMs: Array.from({ length: 20 }, () => 300),
          deliveryTimeoutMs: TIMEOUT_MS,
          limits: DEFAULT_LIMITS,
          failingForMs: 5 * 86_400_000,
          retentionMs: 86_400_000,
          secretKeys: [key],
          allowDestinations: ['127.0.0.0/8'],
          destinationPorts: undefined,
          requireHttps: false,
          egressProxy: undefined,
          ownership: 'sole',
          shutdownTimeoutMs: 10_000,
          version: 'test',
          ...overrides,
        },
        { log, monitoring },
      );
      const each = { ...service, stop: once(() => service.stop()) };
      running.push(each);
      return each;
    },
    async receive(answer) {
      const receiver = await startReceiver(answer === undefined ? {} : { answer });
      receivers.push(receiver);
      return receiver;
    },
    register({ url }, initially = {}) {
      const endpointId = `ep_${randomUUID().replaceAll('-', '')}`;
      registered.push(endpointId);
      const ciphertext = secretBox.encrypt(createSecret(), endpointId);
      const registeredAtMs = Date.now();
      const put: PutEndpoint = (state, { headers = [], filter, ...settings } = initially) =>
        set.put({
          ...endpoint({ endpointId, events: { '*': registeredAtMs }, filter }),
          ...settings,
          url,
          state,
          secrets: [{ ciphertext, validUntil: undefined }],
          encryptedHeaders: secretBox.encryptHeaders(headers, endpointId),
        });
      put(subscriptionV1.EndpointState.ENDPOINT_STATE_ACTIVE);
      return put;
    },
    async appendToEach(ids, events) {
      for (let sequence = 1; sequence <= events; sequence += 1) {
        await Promise.all(ids.map((invoiceId) => invoices.append(invoiceId)));
      }
    },
    async parkedRows() {
      const result = await pool.query<{ count: bigint }>('select count(*) from dispatcher.parked');
      return Number(result.rows[0]?.count);
    },
  };
}

function once(stop: () => Promise<void>): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  return () => (stopped ??= stop());
}

/** Invoices that no other test has. */
export function invoiceIds(count: number): string[] {
  const run = randomUUID();
  return Array.from({ length: count }, (_, index) => `${run}-${index}`);
}

export function invoiceOf({ body }: ReceivedRequest): string {
  const parsed: { data: { invoice_id: string } } = JSON.parse(body.toString());
  return parsed.data.invoice_id;
}

export function sequenceOf({ headers }: ReceivedRequest): number {
  return Number(headers['billhook-sequence']);
}

/** The events of an invoice in the order in which they first came. */
export function firstSeen(requests: readonly ReceivedRequest[], invoiceId: string): number[] {
  const sequences = requests.filter((each) => invoiceOf(each) === invoiceId).map(sequenceOf);
  return [...new Set(sequences)];
}

/** How many different events came. */
export function distinct(requests: readonly ReceivedRequest[]): number {
  return new Set(requests.map(({ headers }) => String(headers['webhook-id']))).size;
}
