import { subscriptionV1 } from '@billhook/contracts';
import type { Duration, Timestamp } from '@billhook/contracts';
import { LOOPBACK_RANGES } from '@billhook/destinations';
import { call, createGrpcClient, openStream, RemoteError } from '@billhook/grpc';
import type { GrpcClient } from '@billhook/grpc';
import { createMonitoring } from '@billhook/metrics';
import { createPool } from '@billhook/postgres';
import type { Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { createKey } from '@billhook/secrets';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { SubscriptionConfig } from '../config.ts';
import { WATCH_FORMAT } from '../grpc/watch.ts';
import { startSubscriptionService } from '../subscription-service.ts';

type Client = GrpcClient<typeof subscriptionV1.SubscriptionServiceService>;
type Endpoint = subscriptionV1.Endpoint;

/** A running copy of the service, as its callers see it. */
export interface Copy {
  readonly client: Client;
  register(url: string, event?: string, tenant?: string): Promise<Registered>;
  /** The filter is sent as it is if it is a text, and as JSON if it is not. */
  registerFiltered(url: string, event: string, filter: unknown): Promise<Registered>;
  unregister(
    url: string,
    event?: string,
    tenant?: string,
  ): Promise<subscriptionV1.UnregisterResponse>;
  get(endpointId: string, tenant?: string): Promise<Endpoint>;
  update(request: UpdateFields, tenant?: string): Promise<Endpoint>;
  change(name: ChangeName, endpointId: string, tenant?: string): Promise<Endpoint>;
  disable(endpointId: string, revision: number, report?: Report): Promise<Endpoint>;
  rotate(endpointId: string, overlap?: Duration): Promise<subscriptionV1.RotateSecretResponse>;
  revision(): Promise<number>;
  /** Opens a watch; it ends with the test at the latest. */
  watch(from?: WatchedFrom): Watcher;
  stop(): Promise<void>;
}

export interface Registered {
  readonly endpoint: Endpoint;
  readonly subscription: subscriptionV1.Subscription;
  readonly secret: string;
}

export type UpdateFields = Partial<subscriptionV1.UpdateEndpointRequest> & {
  readonly endpointId: string;
};

/** What a dispatcher says of an endpoint: by default that it is gone. */
export interface Report {
  readonly reason?: string;
  readonly failingSinceTime?: Timestamp | undefined;
}

export type ChangeName = 'pauseEndpoint' | 'resumeEndpoint' | 'enableEndpoint';

/** Where a view stands, and in which format it was sent; in that of today unless it is given. */
export interface WatchedFrom {
  readonly revision: number;
  readonly eventId: string;
  readonly format?: number;
}

/** Takes the messages of a watch one by one, when the test asks for them. */
export interface Watcher {
  next(): Promise<subscriptionV1.WatchResponse>;
  close(): void;
}

/** The database of a test file, and copies of the service on it. */
export interface TestSubscriptions {
  readonly pool: Pool;
  readonly config: SubscriptionConfig;
  /** Starts a copy, which stops with the test at the latest. */
  start(changes?: Partial<SubscriptionConfig>): Promise<Copy>;
}

const CALL_TIMEOUT_MS = 20_000;
const DAY_MS = 24 * 60 * 60 * 1_000;

/** Gives the test file a database and keys of its own. */
export function useSubscriptions(): TestSubscriptions {
  const database = useTestDatabase();
  const log = createLog({ level: 'fatal', service: 'subscription-test' });
  const secretKeys = [createKey()];
  const configure = (): SubscriptionConfig => ({
    address: { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' },
    databaseUrl: database.connectionString,
    // No dispatcher is there.
    deliveryTarget: '127.0.0.1:1',
    secretKeys,
    allowDestinations: LOOPBACK_RANGES,
    deliveryTimeoutMs: 15_000,
    destinationPorts: [{ first: 1, last: 65_535 }],
    requireHttps: false,
    requestIdRetentionMs: 7 * DAY_MS,
    shutdownTimeoutMs: 10_000,
  });
  let pool: Pool | undefined;
  beforeAll(() => {
    const { connectionString } = database;
    pool = createPool({ connectionString, applicationName: 'test', maxConnections: 2, log });
  });
  afterAll(() => pool?.end());
  return {
    get pool() {
      return required(pool);
    },
    get config() {
      return configure();
    },
    start: async (changes = {}) => {
      const service = await startSubscriptionService(
        { ...configure(), ...changes },
        { log, monitoring: createMonitoring() },
      );
      const client = createGrpcClient(subscriptionV1.SubscriptionServiceClient, service.address, {
        retryable: [],
      });
      let stopping: Promise<void> | undefined;
      const stop = () => {
        stopping ??= service.stop().finally(() => client.close());
        return stopping;
      };
      onTestFinished(stop);
      return createCopy(client, stop);
    },
  };
}

/** What a call was refused with: `CODE REASON`, then `field REASON` of each. */
export async function refusal(answer: Promise<unknown>): Promise<readonly string[]> {
  try {
    await answer;
  } catch (error) {
    if (error instanceof RemoteError) {
      const fields = error.fieldViolations.map(({ field, reason }) => `${field} ${reason}`);
      return [`${error.code} ${error.reason}`, ...fields];
    }
    throw error;
  }
  return ['OK'];
}

const optionsFor = (tenant = 'default') => ({ timeoutMs: CALL_TIMEOUT_MS, tenant });

function createCopy(client: Client, stop: () => Promise<void>): Copy {
  return {
    client,
    stop,
    register: async (url, event = '*', tenant) =>
      toRegistered(await call(client.register, { url, event, filter: '' }, optionsFor(tenant))),
    registerFiltered: async (url, event, filter) => {
      const text = typeof filter === 'string' ? filter : JSON.stringify(filter);
      const request = { url, event, filter: text };
      return toRegistered(await call(client.register, request, optionsFor()));
    },
    unregister: (url, event = '*', tenant) =>
      call(client.unregister, { url, event }, optionsFor(tenant)),
    get: async (endpointId, tenant) =>
      required((await call(client.getEndpoint, { endpointId }, optionsFor(tenant))).endpoint),
    update: async (fields, tenant) => {
      const request = subscriptionV1.UpdateEndpointRequest.create(fields);
      return required((await call(client.updateEndpoint, request, optionsFor(tenant))).endpoint);
    },
    change: async (name, endpointId, tenant) =>
      required((await call(client[name], { endpointId }, optionsFor(tenant))).endpoint),
    disable: async (endpointId, revision, { reason = 'gone', failingSinceTime } = {}) => {
      const request = { endpointId, revision: BigInt(revision), reason, failingSinceTime };
      return required((await call(client.disableEndpoint, request, optionsFor())).endpoint);
    },
    rotate: (endpointId, overlap) =>
      call(client.rotateSecret, { endpointId, overlap }, optionsFor()),
    revision: async () => Number((await call(client.getRevision, {}, optionsFor())).revision),
    watch: (from = { revision: 0, eventId: '' }) => openWatch(client, from),
  };
}

function toRegistered(answer: subscriptionV1.RegisterResponse): Registered {
  const { endpoint, subscription, secret } = answer;
  return { endpoint: required(endpoint), subscription: required(subscription), secret };
}

function openWatch(
  client: Client,
  { revision, eventId, format = WATCH_FORMAT }: WatchedFrom,
): Watcher {
  const closing = new AbortController();
  const request = { revision: BigInt(revision), eventId, format };
  const messages = openStream(client.watch, request, { signal: closing.signal });
  const close = () => closing.abort();
  onTestFinished(close);
  return {
    next: async () => {
      const message = await messages.next();
      if (message.done === true) {
        throw new Error('The watch has ended');
      }
      return message.value;
    },
    close,
  };
}

function required<Value>(value: Value | undefined): Value {
  if (value === undefined) {
    throw new Error('An answer lacks what the test asks for');
  }
  return value;
}
