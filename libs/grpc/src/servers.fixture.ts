import { once } from 'node:events';
import { connect } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import { invoiceV1, subscriptionV1 } from '@billhook/contracts';
import { createMonitoring } from '@billhook/metrics';
import type { Monitoring } from '@billhook/metrics';
import { createLog } from '@billhook/runtime';
import type { Address } from '@billhook/runtime';
import { afterEach } from 'vitest';
import { createGrpcClient } from './client.ts';
import type { GrpcClient } from './client.ts';
import { startGrpcServer } from './server.ts';
import type { GrpcServer } from './server.ts';
import { implement } from './service.ts';
import type { StreamHandler, UnaryHandler } from './service.ts';

type GetInvoice = UnaryHandler<invoiceV1.GetInvoiceRequest, invoiceV1.GetInvoiceResponse>;
type CreateInvoice = UnaryHandler<invoiceV1.CreateInvoiceRequest, invoiceV1.CreateInvoiceResponse>;
type Watch = StreamHandler<subscriptionV1.WatchRequest, subscriptionV1.WatchResponse>;

interface ServerOptions {
  readonly address?: Address;
  readonly getInvoice?: GetInvoice;
  readonly createInvoice?: CreateInvoice;
  readonly watch?: Watch;
  readonly monitoring?: Monitoring;
}

type InvoiceClient = GrpcClient<typeof invoiceV1.InvoiceServiceService>;
type SubscriptionClient = GrpcClient<typeof subscriptionV1.SubscriptionServiceService>;

const { getInvoice, createInvoice } = invoiceV1.InvoiceServiceService;
const { watch } = subscriptionV1.SubscriptionServiceService;

const log = createLog({ level: 'silent', service: 'test' });
const cleanUps: (() => void | Promise<void>)[] = [];

/** Everything that a test opened is closed after it. */
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) {
    await cleanUp();
  }
});

const freePort: Address = { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' };

/** Answers with the id that was asked for. */
export const echoInvoice: GetInvoice = async ({ invoiceId }) => answer(invoiceId);

/** An answer that carries a text. */
export function answer(invoiceId: string): invoiceV1.GetInvoiceResponse {
  return { invoice: invoiceV1.Invoice.create({ invoiceId }) };
}

/** A message of a stream that carries a number. */
export function message(revision: number): subscriptionV1.WatchResponse {
  return subscriptionV1.WatchResponse.fromPartial({
    message: { $case: 'changes', value: { revision } },
  });
}

/** Starts a server with two methods of the invoice service and one stream, and stops it at the end. */
export async function startTestServer(options: ServerOptions = {}): Promise<GrpcServer> {
  const server = await startGrpcServer({
    address: options.address ?? freePort,
    log,
    monitoring: options.monitoring ?? createMonitoring(),
    services: [
      implement(
        { getInvoice, createInvoice },
        {
          getInvoice: options.getInvoice ?? echoInvoice,
          createInvoice: options.createInvoice ?? echoCreated,
        },
      ),
      implement({ watch }, { watch: options.watch ?? noMessages }),
    ],
  });
  cleanUps.push(() => server.stop(100));
  return server;
}

/** Starts a server whose `getInvoice` answers once its call is given up. */
export async function startWaitingServer(): Promise<{
  readonly address: string;
  /** A call has come. */
  readonly started: Promise<void>;
  /** The signal of the call that was given up. */
  readonly aborted: Promise<AbortSignal>;
}> {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<AbortSignal>();
  const { address } = await startTestServer({
    getInvoice: async ({ invoiceId }, { signal }) => {
      started.resolve();
      await once(signal, 'abort');
      aborted.resolve(signal);
      return answer(invoiceId);
    },
  });
  return { address, started: started.promise, aborted: aborted.promise };
}

export function createInvoiceClient(target: string): InvoiceClient {
  const client = createGrpcClient(invoiceV1.InvoiceServiceClient, target, {
    retryable: ['getInvoice'],
  });
  cleanUps.push(() => client.close());
  return client;
}

export function createSubscriptionClient(target: string): SubscriptionClient {
  const client = createGrpcClient(subscriptionV1.SubscriptionServiceClient, target, {
    retryable: [],
  });
  cleanUps.push(() => client.close());
  return client;
}

/** A request of `getInvoice` as it goes over the wire: not compressed, its length, its bytes. */
export function getInvoiceBytes(invoiceId: string): Buffer {
  const request = invoiceV1.GetInvoiceRequest.encode({ invoiceId }).finish();
  const head = Buffer.alloc(5);
  head.writeUInt32BE(request.length, 1);
  return Buffer.concat([head, request]);
}

/**
 * Sends a call of `getInvoice` as it goes over the wire, and gives back how it ended. A gRPC client ends a
 * late call itself, mostly just before the server does; this one waits for the server.
 */
export async function sendCall(
  address: string,
  headers: Readonly<Record<string, string>>,
  bytes: Buffer,
): Promise<IncomingHttpHeaders> {
  const session = connect(`http://${address}`);
  afterTest(() => session.close());
  const stream = session.request({
    ':method': 'POST',
    ':path': '/billhook.invoice.v1.InvoiceService/GetInvoice',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  let end: IncomingHttpHeaders = {};
  stream.on('response', (response) => (end = response));
  stream.on('trailers', (trailers) => (end = trailers));
  stream.resume().end(bytes);
  await once(stream, 'close');
  return end;
}

/** Registers something to be done after the test. */
export function afterTest(cleanUp: () => void): void {
  cleanUps.push(cleanUp);
}

const echoCreated: CreateInvoice = async ({ invoiceId }) => answer(invoiceId);

async function* noMessages(): AsyncGenerator<subscriptionV1.WatchResponse> {}
