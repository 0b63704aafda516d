import { createServer } from 'node:https';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createCertificate } from './certificate.ts';
import { startConnectProxy } from './connect-proxy.ts';
import {
  answerWith,
  closeServer,
  createLoopbackSender,
  keepOpenSockets,
  listen,
  post,
  startRawReceiver,
} from './loopback.ts';
import type { LookupAddress } from '@billhook/destinations';
import type { Certificate } from './certificate.ts';
import type { ConnectProxy, Tunnelling } from './connect-proxy.ts';
import type { LoopbackDestinations, RawReceiver } from './loopback.ts';
import type { Sender } from './sender.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const loopback: LookupAddress = { address: '127.0.0.1', family: 4 };
const internal: LookupAddress = { address: '10.0.0.1', family: 4 };
/** Nothing listens there. */
const away: LookupAddress = { address: '127.0.0.9', family: 4 };

const trusted = createCertificate('receiver.example', 1);
const ofAnother = createCertificate('another.example', 1);

const cleanUps: (() => unknown)[] = [];

beforeAll(() => setDefaultCACertificates([trusted.cert, ofAnother.cert]));
afterAll(() => setDefaultCACertificates(getCACertificates('bundled')));
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

describe('a delivery through a proxy', () => {
  test('goes by a tunnel to the address that was checked, and the tunnel is kept', async () => {
    const { proxy, sender, receiver } = await setUp();
    const url = `http://receiver.example:${receiver.port}/`;
    expect(await post(sender, url)).toMatchObject({ kind: 'delivered' });
    expect(await post(sender, url)).toMatchObject({ kind: 'delivered' });
    expect(proxy.asked).toEqual([
      { target: `127.0.0.1:${receiver.port}`, authorization: undefined },
    ]);
    expect(proxy.forwarded).toEqual([]);
    expect(receiver.connections).toBe(1);
  });

  test('over TLS is for the receiver of that name alone, whatever the proxy connects to', async () => {
    const { sender, proxy } = await setUp();
    const good = await startHttps(trusted);
    expect(await post(sender, good.url)).toMatchObject({ kind: 'delivered', status: 200 });
    const bad = await startHttps(ofAnother);
    expect(await post(sender, bad.url)).toMatchObject({
      kind: 'unreachable',
      detail: 'TLS failed (ERR_TLS_CERT_ALTNAME_INVALID)',
    });
    expect([good.requests, bad.requests]).toEqual([1, 0].map((count) => Array(count).fill('/')));
    expect(proxy.asked.map(({ target }) => target)).toEqual(
      [good, bad].map(({ port }) => `127.0.0.1:${port}`),
    );
  });

  test('names the port of the scheme where the URL names none', async () => {
    const { proxy, sender } = await setUp({}, (_target, client) => {
      client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return 'done';
    });
    await post(sender, 'http://receiver.example/');
    await post(sender, 'https://receiver.example/');
    await post(sender, 'http://[::1]/');
    const targets = ['127.0.0.1:80', '127.0.0.1:443', '[::1]:80'];
    expect(proxy.asked.map(({ target }) => target)).toEqual(targets);
  });

  test('shows the proxy who asks, and the receiver nothing of it', async () => {
    const heads: string[] = [];
    const { proxy, receiver } = await setUp({}, undefined, (socket) => {
      socket.on('data', (bytes: Buffer) => {
        heads.push(bytes.toString('latin1'));
        socket.write(OK);
      });
    });
    const egressProxy = `http://bill:h%40ok%3A@127.0.0.1:${proxy.port}/`;
    const sender = makeSender({ egressProxy });
    const url = `http://receiver.example:${receiver.port}/`;
    expect(await post(sender, url)).toMatchObject({ kind: 'delivered' });
    const credentials = Buffer.from('bill:h@ok:').toString('base64');
    expect(proxy.asked).toMatchObject([{ authorization: `Basic ${credentials}` }]);
    expect(heads.join('')).toMatch(/^POST \/ HTTP\/1\.1\r\nhost: receiver\.example/);
    expect(heads.join('').toLowerCase()).not.toContain('proxy');
  });

  test('tries the next address when there is no tunnel to the first', async () => {
    const { proxy, sender, receiver } = await setUp({
      lookup: () => Promise.resolve([away, loopback]),
    });
    const url = `http://receiver.example:${receiver.port}/`;
    expect(await post(sender, url)).toMatchObject({ kind: 'delivered' });
    expect(proxy.asked.map(({ target }) => target)).toEqual(
      ['127.0.0.9', '127.0.0.1'].map((address) => `${address}:${receiver.port}`),
    );
  });
});

describe('the proxy is not asked', () => {
  test.each<[string, string, LoopbackDestinations]>([
    ['an internal number', 'http://10.0.0.1/', {}],
    ['an internal number in another notation', 'https://0xa000001/', {}],
    ['an internal IPv6 number', 'http://[fd00::1]/', {}],
    ['a name with an internal address', 'http://a.example/', lookingUp([internal])],
    ['a name with one among others', 'https://a.example/', lookingUp([loopback, internal])],
    ['a refused port', 'https://a.example:25/', lookingUp([loopback])],
    ['http where https is required', 'http://a.example/', { requireHttps: true }],
  ])('for %s', async (_what, url, destinations) => {
    const { proxy, sender } = await setUp(destinations);
    expect(await post(sender, url)).toMatchObject({ kind: 'refused' });
    expect(proxy.asked).toEqual([]);
  });

  test('for a name that got an internal address since the connection before', async () => {
    const answers = [[loopback], [internal]];
    const { proxy, sender, receiver } = await setUp(
      { lookup: () => Promise.resolve(answers.shift() ?? []) },
      undefined,
      answerWith('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'),
    );
    const url = `http://rebind.example:${receiver.port}/`;
    expect(await post(sender, url)).toMatchObject({ kind: 'delivered' });
    await expect.poll(() => receiver.openConnections).toBe(0);
    expect(await post(sender, url)).toMatchObject({ kind: 'refused' });
    expect(proxy.asked).toHaveLength(1);
  });

  test('for a name that does not resolve', async () => {
    const { proxy, sender } = await setUp({ lookup: () => Promise.resolve([]) });
    expect(await post(sender, 'http://nobody.example/')).toMatchObject({
      kind: 'unreachable',
      detail: 'name not resolved (ENOTFOUND)',
    });
    expect(proxy.asked).toEqual([]);
  });
});

describe('a proxy that opens no tunnel', () => {
  test.each<[string, string, string]>([
    ['refuses', 'HTTP/1.1 403 Forbidden\r\n\r\n', 'STATUS_403'],
    ['wants to know who asks', 'HTTP/1.1 407 Who?\r\ncontent-length: 2\r\n\r\nno', 'STATUS_407'],
    ['redirects', 'HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\n\r\n', 'STATUS_302'],
    ['closes', '', 'UND_ERR_SOCKET'],
    ['answers garbage', 'SSH-2.0-OpenSSH_9.2\r\n', 'FAILED'],
    [
      'sends too many headers',
      `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`,
      'UND_ERR_HEADERS_OVERFLOW',
    ],
  ])('is named when it %s', async (_what, bytes, reason) => {
    const { proxy, sender } = await setUp({}, (_target, client) => {
      client.end(bytes);
      return 'done';
    });
    expect(await post(sender, 'https://receiver.example/')).toMatchObject({
      kind: 'unreachable',
      detail: `egress proxy failed (PROXY_${reason})`,
    });
    await expect.poll(() => proxy.openConnections).toBe(0);
  });

  test('is named when it is not there', async () => {
    const { proxy } = await setUp();
    await proxy.close();
    const sender = makeSender({ egressProxy: proxy.url });
    expect(await post(sender, 'http://receiver.example/')).toMatchObject({
      kind: 'unreachable',
      detail: 'egress proxy failed (PROXY_ECONNREFUSED)',
    });
  });

  test.each<[string, Tunnelling]>([
    ['says nothing', () => 'done'],
    [
      'opens one to nowhere',
      (_target, client) => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        return 'done';
      },
    ],
  ])('is left at the deadline, without a connection, when it %s', async (_what, onConnect) => {
    const { proxy, sender } = await setUp(lookingUp([away, loopback]), onConnect);
    const outcome = await post(sender, 'https://receiver.example/', 200);
    expect(outcome).toMatchObject({ kind: 'unreachable', detail: 'timed out connecting' });
    await expect.poll(() => proxy.openConnections).toBe(0);
    expect(proxy.asked).toHaveLength(1);
  });

  test('is left at once when the sender closes', async () => {
    const { proxy, sender } = await setUp({}, () => 'done');
    const outcome = post(sender, 'https://receiver.example/');
    await expect.poll(() => proxy.openConnections).toBe(1);
    sender.destroy();
    expect(await outcome).toMatchObject({ kind: 'unreachable', detail: 'shut down' });
    await expect.poll(() => proxy.openConnections).toBe(0);
  });
});

test('what comes through a tunnel is bounded as without one', async () => {
  const { proxy, sender, receiver } = await setUp({}, undefined, (socket) => {
    const write = () => {
      while (!socket.destroyed && socket.write('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'))
        continue;
    };
    socket.once('data', () => {
      socket.on('drain', write);
      write();
    });
  });
  const outcome = await post(sender, `http://receiver.example:${receiver.port}/`);
  expect(outcome).toMatchObject({ kind: 'unreachable', detail: 'response too long' });
  await expect.poll(() => proxy.openConnections).toBe(0);
});

async function setUp(
  destinations: LoopbackDestinations = {},
  onConnect?: Tunnelling,
  onConnection: Parameters<typeof startRawReceiver>[0] = answerWith(OK),
): Promise<{ proxy: ConnectProxy; sender: Sender; receiver: RawReceiver }> {
  const receiver = await startRawReceiver(onConnection);
  const proxy = await startConnectProxy(onConnect);
  cleanUps.push(
    () => receiver.close(),
    () => proxy.close(),
  );
  return { proxy, receiver, sender: makeSender({ egressProxy: proxy.url, ...destinations }) };
}

function makeSender(destinations: LoopbackDestinations): Sender {
  const sender = createLoopbackSender({}, { ...lookingUp([loopback]), ...destinations });
  cleanUps.push(() => sender.destroy());
  return sender;
}

function lookingUp(addresses: readonly LookupAddress[]): LoopbackDestinations {
  return { lookup: () => Promise.resolve(addresses) };
}

async function startHttps(
  certificate: Certificate,
): Promise<{ url: string; port: number; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer(certificate, (request, response) => {
    requests.push(request.url ?? '');
    request.resume().on('end', () => response.end());
  });
  const open = keepOpenSockets(server);
  const port = await listen(server);
  cleanUps.push(() => closeServer(server, open));
  return { url: `https://receiver.example:${port}/`, port, requests };
}
