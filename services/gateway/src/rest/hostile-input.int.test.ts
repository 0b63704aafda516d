import { once } from 'node:events';
import { connect } from 'node:net';
import type { GrpcServer } from '@billhook/grpc';
import type { RunningService } from '@billhook/runtime';
import { deliveryV1 } from '@billhook/contracts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  acceptingSubscriptions,
  startDeliveryServer,
  startGateway,
  startSubscriptionServer,
} from '../gateway.fixture.ts';

const json = 'content-type: application/json';
const valid = '{"event":"myEvent","url":"http://myurl.com/webhook"}';

let subscription: GrpcServer;
let delivery: GrpcServer;
let gateway: RunningService;

beforeAll(async () => {
  subscription = await startSubscriptionServer(acceptingSubscriptions);
  delivery = await startDeliveryServer(async () => deliveryV1.PingResponse.create({}));
  gateway = await startGateway({ subscription: subscription.address, delivery: delivery.address });
});

afterAll(async () => {
  await gateway.stop();
  await subscription.stop(1_000);
  await delivery.stop(1_000);
});

describe('a body', () => {
  it.each([
    ['not JSON', '{"event":', 400, 'invalid_json', undefined],
    ['empty', '', 400, 'empty_body', undefined],
    ['an array', '[]', 400, 'wrong_type', undefined],
    ['null', 'null', 400, 'wrong_type', undefined],
    ['without event', '{"url":"http://a.b/"}', 400, 'missing_field', 'event'],
    ['without url', '{"event":"a"}', 400, 'missing_field', 'url'],
    ['with a number as event', '{"event":1,"url":"http://a.b/"}', 400, 'wrong_type', 'event'],
    ['with null as url', '{"event":"a","url":null}', 400, 'wrong_type', 'url'],
    ['with an object as url', '{"event":"a","url":{}}', 400, 'wrong_type', 'url'],
    ['with one field more', valid.replace('}', ',"x":1}'), 400, 'unknown_field', 'x'],
    ['with __proto__', valid.replace('}', ',"__proto__":{}}'), 400, 'unknown_field', '__proto__'],
    ['with a field twice', valid.replace('}', ',"event":"b"}'), 400, 'duplicate_field', 'event'],
    ['with a text as filter', withFilter('"x"'), 400, 'wrong_type', 'filter'],
    ['with a list as filter', withFilter('[]'), 400, 'wrong_type', 'filter'],
    ['with null as filter', withFilter('null'), 400, 'wrong_type', 'filter'],
    [
      'with a filter that has a field twice',
      withFilter('{"a":1,"a":2}'),
      400,
      'duplicate_field',
      'a',
    ],
    ['with a number too large', withFilter('{"a":1e999}'), 400, 'number_too_large', 'filter.a'],
    [
      'with a number that would be rounded',
      withFilter('{"or":[{"data.amount":{"gte":1000.00000000000000001}}]}'),
      400,
      'number_not_exact',
      'filter.or[0]["data.amount"].gte',
    ],
    [
      'with a number that would be zero',
      withFilter('{"a":1e-400}'),
      400,
      'number_not_exact',
      'filter.a',
    ],
    ['with an empty event', '{"event":"","url":"http://a.b/"}', 400, 'invalid_event', 'event'],
    ['with markup as event', '{"event":"<b>","url":"http://a.b/"}', 400, 'invalid_event', 'event'],
    ['with a line break', '{"event":"a\\n","url":"http://a.b/"}', 400, 'invalid_event', 'event'],
    ['with U+0000', '{"event":"a\\u0000","url":"http://a.b/"}', 400, 'invalid_event', 'event'],
    ['with an empty url', '{"event":"a","url":""}', 400, 'invalid_url', 'url'],
    ['with a space as url', '{"event":"a","url":" "}', 400, 'invalid_url', 'url'],
    [
      'with half a character',
      '{"event":"a","url":"http://a.b/\\ud800"}',
      400,
      'invalid_url',
      'url',
    ],
    ['with a long url', url(2_049), 400, 'url_too_long', 'url'],
    [
      'deeply nested',
      `{"event":${'['.repeat(99)}${']'.repeat(99)}}`,
      400,
      'json_too_deep',
      undefined,
    ],
    ['just over the limit', ' '.repeat(65_536) + '1', 413, 'body_too_large', undefined],
    ['far over the limit', ' '.repeat(3_000_000), 413, 'body_too_large', undefined],
  ])('%s is refused with its own code', async (_name, body, status, code, field) => {
    const response = await post('/register', body);
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    const problem: unknown = await response.json();
    const type = `urn:billhook:problem:${code}`;
    expect(problem).toMatchObject({ type, status, code, detail: expect.stringMatching(/\.$/) });
    if (field === undefined) expect(problem).not.toHaveProperty('field');
    else expect(problem).toHaveProperty('field', field);
  });

  it('at the limit is read', async () => {
    expect((await post('/register', valid.padEnd(65_536))).status).toBe(200);
  });

  it.each([
    ['another content type', { 'content-type': 'text/plain' }, 'unsupported_content_type'],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'unsupported_content_type'],
    ['no media type at all', { 'content-type': ';;;' }, 'unsupported_content_type'],
    [
      'another charset',
      { 'content-type': 'application/json; charset=latin1' },
      'unsupported_charset',
    ],
    [
      'a content encoding',
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      'unsupported_content_encoding',
    ],
  ])('with %s is refused with 415', async (_name, headers, code) => {
    const response = await post('/register', valid, headers);
    expect(response.status).toBe(415);
    expect(await response.json()).toMatchObject({ code });
  });

  it.each([
    ['application/json; charset=utf-8'],
    ['application/json;charset="UTF-8"'],
    ['Application/JSON'],
  ])('of content type %s is read', async (contentType) => {
    expect((await post('/register', valid, { 'content-type': contentType })).status).toBe(200);
  });

  it('of an unregistration has no filter', async () => {
    const response = await post('/unregister', withFilter('{"event":"a"}'));
    expect(await response.json()).toMatchObject({ code: 'unknown_field', field: 'filter' });
  });

  it('that is not UTF-8 is refused', async () => {
    const response = await post('/register', Buffer.from([0x7b, 0xff, 0x7d]));
    expect(await response.json()).toMatchObject({ code: 'invalid_utf8' });
  });

  it('of any JSON never makes the gateway answer 5xx', async () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl(), fc.constant('a'));
    const value = fc.oneof(text, fc.jsonValue({ maxDepth: 3 }));
    const body = fc.oneof(
      fc.record({ event: value, url: value, filter: value }, { requiredKeys: [] }),
      fc.record({ event: fc.constant('a'), url: fc.webUrl(), filter: fc.object() }),
      fc.jsonValue(),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('/register', '/unregister', '/ping'),
        body,
        async (path, content) => {
          expect((await post(path, JSON.stringify(content))).status).toBeLessThan(500);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('of any bytes never makes the gateway answer 5xx', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expect((await post('/register', bytes)).status).toBeLessThan(500);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a request', () => {
  it.each([
    ['for an unknown path', head('GET /nothing'), 404, 'route_not_found'],
    ['with a trailing slash', head('GET /healthz/'), 404, 'route_not_found'],
    ['by another method', head('GET /register'), 405, 'method_not_allowed'],
    ['by an unusual method', head('PROPFIND /ping'), 405, 'method_not_allowed'],
    ['by a method that is none', head('FETCH /'), 400, 'malformed_request'],
    ['without host', 'GET /healthz HTTP/1.1\r\nconnection: close', 400, 'missing_host'],
    ['that is not HTTP', '\x16\x03\x01\x02\x00', 400, 'malformed_request'],
    ['of HTTP/2', 'PRI * HTTP/2.0', 400, 'malformed_request'],
    ['with a bad escape', head('GET /%zz'), 400, 'malformed_request'],
    ['with a long address', head(`GET /${'a'.repeat(3_000)}`), 414, 'uri_too_long'],
    ['with huge headers', `GET / HTTP/1.1\r\nx: ${'a'.repeat(60_000)}`, 431, 'headers_too_large'],
    ['with a bad header', 'GET / HTTP/1.1\r\nhost: localhost\r\nx y: z', 400, 'malformed_request'],
    [
      'with two lengths',
      register('content-length: 1\r\ncontent-length: 2'),
      400,
      'malformed_request',
    ],
    ['with a negative length', register('content-length: -1'), 400, 'malformed_request'],
    ['with no length', register('x: y'), 400, 'empty_body'],
    [
      'with both a length and chunks',
      register('content-length: 1\r\ntransfer-encoding: chunked'),
      400,
      'malformed_request',
    ],
    [
      'with a coding under its chunks',
      register('transfer-encoding: gzip, chunked'),
      400,
      'malformed_request',
    ],
    ['that expects the unexpected', register('expect: rain'), 417, 'expectation_failed'],
    [
      'that asks to send too much',
      register('expect: 100-continue\r\ncontent-length: 65537'),
      413,
      'body_too_large',
    ],
    ['with a query', register('content-length: 2', '/ping?x=1', '{}'), 400, 'unknown_parameter'],
  ])('%s is refused as a problem', async (_name, bytes, status, code) => {
    const answer = await exchange(bytes.includes('\r\n\r\n') ? bytes : `${bytes}\r\n\r\n`);
    expect(answer.status).toBe(status);
    expect(answer.head).toContain('content-type: application/problem+json');
    expect(JSON.parse(answer.body)).toMatchObject({ status, code });
  });

  it('by another method is told which ones there are', async () => {
    const answer = await exchange(
      'DELETE /register HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
    );
    expect(answer.head).toContain('allow: OPTIONS, POST');
  });

  it('by OPTIONS is answered with the methods', async () => {
    const one = await fetch(`http://${gateway.address}/healthz`, { method: 'OPTIONS' });
    expect([one.status, one.headers.get('allow')]).toEqual([204, 'OPTIONS, GET, HEAD']);
    const all = await exchange(`${head('OPTIONS *')}\r\n\r\n`);
    expect(all.head).toMatch(/^HTTP\/1.1 204 [^]*allow: OPTIONS/);
  });

  it('by HEAD has the headers of a GET, and no body', async () => {
    const response = await fetch(`http://${gateway.address}/healthz`, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });

  it('in chunks is read', async () => {
    const chunk = `${valid.length.toString(16)}\r\n${valid}\r\n0\r\n\r\n`;
    const answer = await exchange(register('transfer-encoding: chunked', '/register', chunk));
    expect(answer.status).toBe(200);
  });

  it('that asks to be let go on is let go on', async () => {
    const length = `expect: 100-continue\r\ncontent-length: ${valid.length}`;
    const answer = await exchange(register(length, '/register', valid));
    expect(answer.head).toMatch(/^HTTP\/1.1 100 Continue/);
    expect(answer.body).toContain('HTTP/1.1 200 OK');
  });

  it('that breaks off in its body harms nobody', async () => {
    const socket = await open();
    socket.write(register('content-length: 100', '/register', '{'));
    socket.destroy();
    expect((await post('/register', valid)).status).toBe(200);
  });

  it('of any bytes never crashes the gateway or makes it answer 5xx', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), async (noise) => {
        const answer = await exchange(
          `GET /${noise} HTTP/1.1\r\nconnection: close\r\n${noise}\r\n\r\n`,
        );
        expect(answer.status).toBeLessThan(500);
      }),
      { numRuns: 100 },
    );
    expect((await fetch(`http://${gateway.address}/healthz`)).status).toBe(200);
  });
});

describe('the description of the interface', () => {
  it('is OpenAPI 3.1 and made from the schemas that validate', async () => {
    const response = await fetch(`http://${gateway.address}/openapi.json`);
    expect(await response.json()).toMatchObject({
      openapi: '3.1.0',
      paths: {
        '/register': { post: requestBody(['event', 'url']) },
        '/unregister': { post: requestBody(['event', 'url']) },
        '/ping': { post: {} },
        '/healthz': { get: {} },
        '/readyz': { get: {} },
      },
    });
  });
});

function requestBody(required: readonly string[]): object {
  const schema = { type: 'object', required, additionalProperties: false };
  return { requestBody: { content: { 'application/json': { schema } } } };
}

function withFilter(filter: string): string {
  return valid.replace(/}$/, `,"filter":${filter}}`);
}

function url(length: number): string {
  return JSON.stringify({ event: 'a', url: 'http://a.b/'.padEnd(length, 'c') });
}

/** The beginning of a request, which asks for the connection to be closed after the answer. */
function head(methodAndPath: string): string {
  return `${methodAndPath} HTTP/1.1\r\nhost: localhost\r\nconnection: close`;
}

/** A POST as it goes over the wire. */
function register(headers: string, path = '/register', body = ''): string {
  return `${head(`POST ${path}`)}\r\n${json}\r\n${headers}\r\n\r\n${body}`;
}

function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = { 'content-type': 'application/json' },
): Promise<Response> {
  return fetch(`http://${gateway.address}${path}`, { method: 'POST', headers, body });
}

async function open() {
  const [host, port] = gateway.address.split(':');
  const socket = connect({ host: String(host), port: Number(port) });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** How long an exchange may be silent before the client ends it. */
const PATIENCE_MS = 300;

/** Sends bytes as they are; the first answer comes back when the connection is closed. */
async function exchange(bytes: string) {
  const socket = await open();
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = once(socket, 'close');
  socket.setTimeout(PATIENCE_MS, () => socket.end());
  socket.write(Buffer.from(bytes));
  await closed;
  const text = Buffer.concat(chunks).toString();
  const [first = '', ...rest] = text.split('\r\n\r\n');
  return { status: Number(first.split(' ')[1]), head: first, body: rest.join('\r\n\r\n') };
}
