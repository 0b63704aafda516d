import { expect, test } from 'vitest';
import {
  echoInvoice,
  getInvoiceBytes,
  sendCall,
  startTestServer,
  startWaitingServer,
} from './servers.fixture.ts';

/**
 * What gRPC itself says of broken frames (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md).
 * grpc-js answers them before an interceptor or a handler can.
 */
const STATUS = { ok: '0', deadlineExceeded: '4', unimplemented: '12', internal: '13' };

const message = getInvoiceBytes('a');
const compressedGarbage = Buffer.from([1, 0, 0, 0, 3, 0xff, 0xff, 0xff]);

test.each([
  ['an unreadable time', { 'grpc-timeout': 'abc' }, message, STATUS.internal],
  ['an empty time', { 'grpc-timeout': '' }, message, STATUS.internal],
  ['bytes that are not gzip', { 'grpc-encoding': 'gzip' }, compressedGarbage, STATUS.internal],
  ['an unknown encoding', { 'grpc-encoding': 'x' }, compressedGarbage, STATUS.unimplemented],
])('a call with %s is not carried out', async (_, headers, bytes, status) => {
  let carriedOut = 0;
  const { address } = await startTestServer({
    getInvoice: (request, context) => {
      carriedOut += 1;
      return echoInvoice(request, context);
    },
  });
  expect(await sendCall(address, headers, bytes)).toMatchObject({ 'grpc-status': status });
  expect(carriedOut).toBe(0);
  expect(await sendCall(address, {}, message)).toMatchObject({ 'grpc-status': STATUS.ok });
  expect(carriedOut).toBe(1);
});

test('a call that is late is ended by the server too, and its handler told why', async () => {
  const { address, aborted } = await startWaitingServer();
  expect(await sendCall(address, { 'grpc-timeout': '50m' }, message)).toMatchObject({
    'grpc-status': STATUS.deadlineExceeded,
  });
  expect((await aborted).reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});
