import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';
import { invoiceV1 } from '@billhook/contracts';
import { call, createGrpcClient, RemoteError } from '@billhook/grpc';
import { createPool } from '@billhook/postgres';
import { createMonitoring } from '@billhook/metrics';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll } from 'vitest';
import { startInvoiceService } from '../invoice-service.ts';
import type { GrpcClient, UnaryMethod } from '@billhook/grpc';
import type { Pool } from '@billhook/postgres';
import type { RunningService } from '@billhook/runtime';
import type { InvoiceConfig } from '../config.ts';

type Service = typeof invoiceV1.InvoiceServiceService;

/** What a test sends: fields that it leaves out are absent. */
type Fields<Request> = Partial<Request>;

/** The service as its callers see it, on a database of the test file's own. */
export interface TestInvoiceService {
  readonly pool: Pool;
  readonly config: InvoiceConfig;
  create(fields: Fields<invoiceV1.CreateInvoiceRequest>, tenant?: string): Promise<Invoice>;
  update(fields: Fields<invoiceV1.UpdateInvoiceRequest>, tenant?: string): Promise<Invoice>;
  pay(fields: Fields<invoiceV1.PayInvoiceRequest>, tenant?: string): Promise<Invoice>;
  get(invoiceId: string, tenant?: string): Promise<Invoice>;
  list(
    fields: Fields<invoiceV1.ListInvoicesRequest>,
    tenant?: string,
  ): Promise<invoiceV1.ListInvoicesResponse>;
  events(
    fields: Fields<invoiceV1.ListInvoiceEventsRequest>,
    tenant?: string,
  ): Promise<invoiceV1.ListInvoiceEventsResponse>;
  /** Sends bytes that no client of ours would send; returns gRPC's code. */
  sendBytes(method: string, bytes: Uint8Array): Promise<number>;
  /** Stops the service and starts it anew. */
  restart(): Promise<void>;
}

type Invoice = invoiceV1.Invoice;

const CALL_TIMEOUT_MS = 20_000;
const DAY_MS = 24 * 60 * 60 * 1_000;
const ANY_PORT = { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' };

/** Starts the service before the tests of a file, and stops it after them. */
export function useInvoiceService(): TestInvoiceService {
  const database = useTestDatabase();
  const log = createLog({ level: 'fatal', service: 'invoice-test' });
  let opened: Opened | undefined;

  const configure = (): InvoiceConfig => ({
    address: ANY_PORT,
    databaseUrl: database.connectionString,
    lanes: 4,
    requestIdRetentionMs: 7 * DAY_MS,
    shutdownTimeoutMs: 10_000,
    kafka: undefined,
  });
  const open = async () => {
    const service = await startInvoiceService(configure(), {
      log,
      monitoring: createMonitoring(),
    });
    opened = { service, client: connect(service.address), bytes: connectBytes(service.address) };
  };
  const close = async () => {
    const closing = opened;
    opened = undefined;
    await closing?.service.stop();
    closing?.client.close();
    closing?.bytes.close();
  };
  let pool: Pool | undefined;
  beforeAll(async () => {
    const { connectionString } = database;
    pool = createPool({ connectionString, applicationName: 'test', maxConnections: 2, log });
    await open();
  });
  afterAll(async () => {
    await close();
    await pool?.end();
  });

  const client = () => required(opened).client;
  return {
    get pool() {
      return required(pool);
    },
    get config() {
      return configure();
    },
    create: async (fields, tenant) =>
      invoiceOf(await ask(client().createInvoice, { ...emptyCreate, ...fields }, tenant)),
    update: async (fields, tenant) =>
      invoiceOf(await ask(client().updateInvoice, { ...emptyUpdate, ...fields }, tenant)),
    pay: async (fields, tenant) =>
      invoiceOf(await ask(client().payInvoice, { ...emptyPay, ...fields }, tenant)),
    get: async (invoiceId, tenant) =>
      invoiceOf(await ask(client().getInvoice, { invoiceId }, tenant)),
    list: (fields, tenant) => ask(client().listInvoices, { ...emptyList, ...fields }, tenant),
    events: (fields, tenant) =>
      ask(client().listInvoiceEvents, { ...emptyEvents, ...fields }, tenant),
    sendBytes: (method, bytes) => sendBytes(required(opened).bytes, method, bytes),
    restart: async () => {
      await close();
      await open();
    },
  };
}

/** What a call was refused with, as a test states it: `CODE REASON`, then `field REASON` of each. */
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

/** Whole and hundredth dollars. */
export function dollars(amount: number) {
  const cents = Math.round(amount * 100);
  const units = Math.floor(cents / 100);
  return { currencyCode: 'USD', units: BigInt(units), nanos: (cents - units * 100) * 10_000_000 };
}

/** Time passes between two events, so that their times differ. */
export function tick(): Promise<void> {
  return sleep(3);
}

interface Opened {
  readonly service: RunningService;
  readonly client: GrpcClient<Service>;
  readonly bytes: Client;
}

const emptyCreate: invoiceV1.CreateInvoiceRequest = {
  requestId: '',
  invoiceId: '',
  amount: undefined,
  dueDate: undefined,
  description: undefined,
};
const emptyUpdate: invoiceV1.UpdateInvoiceRequest = {
  ...emptyCreate,
  updateMask: undefined,
  etag: '',
};
const emptyPay: invoiceV1.PayInvoiceRequest = {
  requestId: '',
  invoiceId: '',
  amountReceived: undefined,
  paidAt: undefined,
  etag: '',
};
const emptyList: invoiceV1.ListInvoicesRequest = {
  pageSize: 0,
  pageToken: '',
  status: invoiceV1.InvoiceStatus.INVOICE_STATUS_UNSPECIFIED,
};
const emptyEvents: invoiceV1.ListInvoiceEventsRequest = {
  invoiceId: '',
  pageSize: 0,
  pageToken: '',
};

function connect(address: string): GrpcClient<Service> {
  return createGrpcClient(invoiceV1.InvoiceServiceClient, address, { retryable: [] });
}

function connectBytes(address: string): Client {
  return new Client(address, credentials.createInsecure());
}

function ask<Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Request,
  tenant: string | undefined,
): Promise<Response> {
  const options = { timeoutMs: CALL_TIMEOUT_MS };
  return call(method, request, tenant === undefined ? options : { ...options, tenant });
}

function sendBytes(client: Client, method: string, bytes: Uint8Array): Promise<number> {
  const path = `/billhook.invoice.v1.InvoiceService/${method}`;
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, keepBytes, keepBytes, Buffer.from(bytes), (error) =>
      resolve(error === null ? 0 : error.code),
    );
  });
}

function keepBytes(bytes: Buffer): Buffer {
  return bytes;
}

function invoiceOf(response: { readonly invoice: Invoice | undefined }): Invoice {
  return required(response.invoice);
}

function required<Value>(value: Value | undefined): Value {
  if (value === undefined) {
    throw new Error('It is there only while the tests of the file run');
  }
  return value;
}
