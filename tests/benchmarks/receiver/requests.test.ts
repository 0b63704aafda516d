import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { readRequests } from './requests.ts';
import type { RawRequest } from './requests.ts';

const BODY = '{"event":"é"}';
const REQUEST = Buffer.from(
  `POST /endpoint-1?a=b HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(BODY)}\r\n\r\n${BODY}`,
);

async function read(chunks: readonly Buffer[]): Promise<RawRequest[]> {
  const stream = new PassThrough();
  const requests: RawRequest[] = [];
  readRequests(stream, (request) => requests.push(request));
  for (const chunk of chunks) {
    stream.write(chunk);
    await new Promise(setImmediate);
  }
  return requests;
}

test('requests are read however their bytes come', async () => {
  const bytes = Buffer.concat([REQUEST, REQUEST, REQUEST]);
  const ways = [
    [bytes],
    [REQUEST, REQUEST, REQUEST],
    [...bytes].map((byte) => Buffer.from([byte])),
  ];

  for (const chunks of ways) {
    const requests = await read(chunks);
    expect(requests.map(({ path, body }) => [path, body.toString()])).toEqual(
      [1, 2, 3].map(() => ['/endpoint-1?a=b', BODY]),
    );
  }
});
