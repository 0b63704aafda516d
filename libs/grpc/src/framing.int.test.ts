import { once } from 'node:events';
import { connect } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import { expect, test } from 'vitest';
import { afterTest, echoInvoice, startTestServer } from './servers.fixture.ts';

/**
 * What gRPC itself says of broken frames (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md).
 * grpc-js answers them before an interceptor or a handler can.
 */
const STATUS = { ok: '0', unimplemented: '12', internal: '13' };

const emptyMessage = Buffer.alloc(5);
const compressedGarbage = Buffer.from([1, 0, 0, 0, 3, 0xff, 0xff, 0xff]);

test.each([
  ['an unreadable time', { 'grpc-timeout': 'abc' }, emptyMessage, STATUS.internal],
  ['an empty time', { 'grpc-timeout': '' }, emptyMessage, STATUS.internal],
  ['bytes that are not gzip', { 'grpc-encoding': 'gzip' }, compressedGarbage, STATUS.internal],
  ['an unknown encoding', { 'grpc-encoding': 'x' }, compressedGarbage, STATUS.unimplemented],
])('a call with %s is not carried out', async (_, headers, message, status) => {
  let carriedOut = 0;
  const { address } = await startTestServer({
    getInvoice: (request, context) => {
      carriedOut += 1;
      return echoInvoice(request, context);
    },
  });
  expect(await send(address, headers, message)).toMatchObject({ 'grpc-status': status });
  expect(carriedOut).toBe(0);
  expect(await send(address, {}, emptyMessage)).toMatchObject({ 'grpc-status': STATUS.ok });
  expect(carriedOut).toBe(1);
});

/** Sends a call as it goes over the wire, and gives back how it ended. */
async function send(
  address: string,
  headers: Readonly<Record<string, string>>,
  message: Buffer,
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
  stream.resume().end(message);
  await once(stream, 'close');
  return end;
}
