import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { invoiceV1 } from '@billhook/contracts';
import { ConfigurationError, invalidField, ServiceError } from '@billhook/runtime';
import { describe, expect, test } from 'vitest';
import { call, openStream } from './client.ts';
import { toRemoteError } from './remote-error.ts';
import { MAX_REQUEST_BYTES } from './server.ts';
import type { CallContext } from './service.ts';
import {
  afterTest,
  answer,
  createInvoiceClient,
  createSubscriptionClient,
  echoInvoice,
  message,
  startTestServer,
  startWaitingServer,
} from './servers.fixture.ts';

const timeoutMs = 5_000;
const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const { CreateInvoiceRequest } = invoiceV1;

describe('a gRPC server', () => {
  test('hands tenant, deadline and trace of a call to its handler', async () => {
    const contexts: CallContext[] = [];
    const { address } = await startTestServer({
      getInvoice: async ({ invoiceId }, context) => {
        contexts.push(context);
        return answer(invoiceId);
      },
    });
    const client = createInvoiceClient(address);
    const options = { timeoutMs, tenant: 'acme', traceparent };
    await call(client.getInvoice, { invoiceId: 'a' }, options);
    expect(contexts[0]).toMatchObject({ tenant: 'acme', traceparent });
    expect(contexts[0]?.deadlineMs).toBeGreaterThan(Date.now());
    expect(contexts[0]?.deadlineMs).toBeLessThanOrEqual(Date.now() + timeoutMs);
    expect(contexts[0]?.signal.aborted).toBe(false);
  });

  test('refuses a tenant that breaks the pattern', async () => {
    const { address } = await startTestServer();
    const client = createInvoiceClient(address);
    await expect(
      call(client.getInvoice, { invoiceId: 'a' }, { timeoutMs, tenant: 'a b' }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'TENANT_INVALID' });
  });

  test('refuses a tenant that is named twice', async () => {
    const { address } = await startTestServer();
    const metadata = new Metadata();
    metadata.add('billhook-tenant', 'a');
    metadata.add('billhook-tenant', 'b');
    await expect(sendBytes(address, new Uint8Array(), metadata)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'TENANT_INVALID',
    });
  });

  test('puts reason, fields and sentence of a refusal on the wire', async () => {
    const { address } = await startTestServer({
      getInvoice: () => Promise.reject(invalidField('invoice_id', 'ID_INVALID', 'must be „kurz“')),
    });
    const client = createInvoiceClient(address);
    await expect(call(client.getInvoice, { invoiceId: 'a' }, { timeoutMs })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'invoice_id: must be „kurz“',
      reason: 'ID_INVALID',
      fieldViolations: [
        { field: 'invoice_id', reason: 'ID_INVALID', description: 'must be „kurz“' },
      ],
    });
  });

  test('bounds a refusal that repeats what the caller sent, and bears half a character', async () => {
    const long = `${'😀'.repeat(30_000)}\ud83d`;
    const fieldViolations = Array.from({ length: 50 }, () => ({
      field: long,
      reason: 'X',
      description: long,
    }));
    const { address } = await startTestServer({
      getInvoice: () => Promise.reject(new ServiceError('ABORTED', 'X', long, { fieldViolations })),
    });
    const client = createInvoiceClient(address);
    const refused = call(client.getInvoice, { invoiceId: 'a' }, { timeoutMs });
    await expect(refused).rejects.toMatchObject({ code: 'ABORTED', reason: 'X' });
    await expect(refused).rejects.toThrow(/^.{0,500}$/u);
  });

  test('tells the caller nothing of an error that is not meant for it', async () => {
    const { address } = await startTestServer({
      getInvoice: () => Promise.reject(new Error('password is hunter2')),
    });
    const client = createInvoiceClient(address);
    await expect(call(client.getInvoice, { invoiceId: 'a' }, { timeoutMs })).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'internal error',
      reason: 'INTERNAL',
    });
  });

  test('names the address when it cannot listen there', async () => {
    const { address } = await startTestServer();
    const taken = { host: '127.0.0.1', port: Number(address.split(':')[1]), text: address };
    const second = startTestServer({ address: taken });
    await expect(second).rejects.toThrow(ConfigurationError);
    await expect(second).rejects.toThrow(
      `Billhook cannot listen on ${address}: another process listens there already.`,
    );
  });
});

describe('a request', () => {
  test('that is too large is refused', async () => {
    const { address } = await startTestServer();
    const client = createInvoiceClient(address);
    const description = 'x'.repeat(MAX_REQUEST_BYTES);
    const request = CreateInvoiceRequest.create({ description });
    await expect(call(client.createInvoice, request, { timeoutMs })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
  });

  test('with invalid UTF-8 is refused under the name of its field', async () => {
    const { address } = await startTestServer();
    const amount = textField(1, Buffer.from([0x55, 0xff]));
    const request = textField(3, amount);
    await expect(sendBytes(address, request)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'TEXT_NOT_UTF8',
      fieldViolations: [{ field: 'amount.currency_code' }],
    });
  });

  test.each([
    ['a truncated field', Buffer.from([0x0a, 0x7f, 0x61])],
    ['an endless number', Buffer.alloc(20, 0xff)],
    ['a field number of zero', Buffer.from([0x00, 0x00])],
  ])('that is no protobuf (%s) is refused, and harms nobody', async (_, bytes) => {
    const { address } = await startTestServer();
    await expect(sendBytes(address, bytes)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'REQUEST_MALFORMED',
    });
    await expect(sendBytes(address, Buffer.alloc(0))).resolves.toBeDefined();
  });

  test('that is not even HTTP/2 harms nobody', async () => {
    const { address } = await startTestServer();
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1');
    socket.end(`${'garbage '.repeat(1_000)}\r\n\r\n`);
    socket.on('error', () => undefined).resume();
    await once(socket, 'close');
    await expect(sendBytes(address, Buffer.alloc(0))).resolves.toBeDefined();
  });
});

describe('a call', () => {
  test('ends at its deadline on both sides', async () => {
    const { address, aborted } = await startWaitingServer();
    const client = createInvoiceClient(address);
    await expect(
      call(client.getInvoice, { invoiceId: 'a' }, { timeoutMs: 100 }),
    ).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect((await aborted).aborted).toBe(true);
  });

  test('that its caller gives up is given up by the server', async () => {
    const { address, started, aborted } = await startWaitingServer();
    const client = createInvoiceClient(address);
    const abort = new AbortController();
    const options = { timeoutMs, signal: abort.signal };
    const given = call(client.getInvoice, { invoiceId: 'a' }, options);
    await started;
    abort.abort();
    await expect(given).rejects.toMatchObject({ code: 'CANCELLED' });
    expect((await aborted).aborted).toBe(true);
    await expect(call(client.getInvoice, { invoiceId: 'a' }, options)).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });
});

describe('a stop', () => {
  test('lets the calls under way end, and takes no more', async () => {
    const server = await startTestServer({
      getInvoice: async (request, context) => {
        await sleep(200);
        return echoInvoice(request, context);
      },
    });
    const client = createInvoiceClient(server.address);
    const underWay = call(client.getInvoice, { invoiceId: 'a' }, { timeoutMs });
    await sleep(100);
    await server.stop(timeoutMs);
    await expect(underWay).resolves.toEqual(answer('a'));
    await expect(call(client.getInvoice, { invoiceId: 'a' }, { timeoutMs })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  test('cuts off what exceeds its time', async () => {
    let signal: AbortSignal | undefined;
    const server = await startTestServer({
      getInvoice(_request, context) {
        ({ signal } = context);
        return new Promise(() => undefined);
      },
    });
    const client = createInvoiceClient(server.address);
    const options = { timeoutMs: 60_000 };
    const stuck = expect(
      call(client.createInvoice, CreateInvoiceRequest.create(), options).then(() =>
        call(client.getInvoice, { invoiceId: 'a' }, options),
      ),
    ).rejects.toThrow();
    await sleep(100);
    const beganMs = performance.now();
    await server.stop(100);
    expect(performance.now() - beganMs).toBeLessThan(1_000);
    // Neither side waits for the deadline of the call.
    await stuck;
    await expect.poll(() => signal?.aborted).toBe(true);
    expect(performance.now() - beganMs).toBeLessThan(5_000);
  });

  test('ends the streams, so that their readers go elsewhere', async () => {
    const server = await startTestServer({
      watch: oneMessageUntilAborted,
    });
    const client = createSubscriptionClient(server.address);
    const stream = openStream(client.watch, { revision: 0n, eventId: '', format: 0 });
    expect((await stream.next()).value).toEqual(message(1));
    await server.stop(timeoutMs);
    await expect(stream.next()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'SERVER_STOPPING',
    });
  });

  test('is quick although somebody watches the health', async () => {
    const server = await startTestServer();
    const client = createRawClient(server.address);
    const watch = client.makeServerStreamRequest(
      '/grpc.health.v1.Health/Watch',
      keepBytes,
      keepBytes,
      Buffer.alloc(0),
    );
    watch.on('error', () => undefined);
    const states: number[] = [];
    watch.on('data', (state: Buffer) => states.push(state[1] ?? 0));
    await once(watch, 'data');
    const beganMs = performance.now();
    await server.stop(timeoutMs);
    expect(performance.now() - beganMs).toBeLessThan(1_500);
    // SERVING, then NOT_SERVING.
    expect(states).toEqual([1, 2]);
  });
});

async function* oneMessageUntilAborted(_: unknown, { signal }: CallContext) {
  yield message(1);
  await once(signal, 'abort');
}

function keepBytes(bytes: Buffer): Buffer {
  return bytes;
}

function createRawClient(address: string): Client {
  const client = new Client(address, credentials.createInsecure());
  afterTest(() => client.close());
  return client;
}

function textField(number: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish();
}

/** Calls CreateInvoice with bytes that no proper client would send. */
function sendBytes(address: string, bytes: Uint8Array, metadata = new Metadata()): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    createRawClient(address).makeUnaryRequest(
      '/billhook.invoice.v1.InvoiceService/CreateInvoice',
      keepBytes,
      keepBytes,
      Buffer.from(bytes),
      metadata,
      (error, response) =>
        response === undefined ? reject(toRemoteError(error)) : resolve(response),
    );
  });
}
