import { createServer } from 'node:https';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createCertificate } from './certificate.ts';
import {
  answerWith,
  closeServer,
  createLoopbackSender,
  keepOpenSockets,
  listen,
  post,
  startRawReceiver,
} from './loopback.ts';
import type { Certificate } from './certificate.ts';

const trusted = createCertificate('localhost', 1);
const expired = createCertificate('localhost', -1);
const ofAnother = createCertificate('example.com', 1);
const unknown = createCertificate('localhost', 1);

const sender = createLoopbackSender({ timeoutMs: 2_000 });
const cleanUps: (() => Promise<void>)[] = [];

beforeAll(() => {
  setDefaultCACertificates([trusted.cert, expired.cert, ofAnother.cert]);
});

afterEach(async () => {
  await Promise.all(cleanUps.splice(0).map((cleanUp) => cleanUp()));
});

afterAll(() => {
  sender.destroy();
  setDefaultCACertificates(getCACertificates('bundled'));
});

describe('a receiver over TLS', () => {
  test('is delivered to when its certificate is trusted and bears its name', async () => {
    const { url, requests } = await startHttps(trusted);
    expect(await post(sender, url)).toMatchObject({ kind: 'delivered', status: 200 });
    expect(await post(sender, url)).toMatchObject({ kind: 'delivered', status: 200 });
    expect(requests).toEqual(['/webhook HTTP/1.1', '/webhook HTTP/1.1']);
  });

  test('is asked for by its name, without a dot at its end', async () => {
    const { url, servernames } = await startHttps(trusted);
    expect(await post(sender, url)).toMatchObject({ kind: 'delivered' });
    const dotted = url.replace('localhost', 'localhost.');
    expect(await post(sender, dotted)).toMatchObject({ kind: 'delivered' });
    expect(servernames).toEqual(['localhost', 'localhost']);
  });

  test.each<[string, Certificate, string]>([
    ['nobody trusts', unknown, 'TLS failed (DEPTH_ZERO_SELF_SIGNED_CERT)'],
    ['has expired', expired, 'TLS failed (CERT_HAS_EXPIRED)'],
    ['bears another name', ofAnother, 'TLS failed (ERR_TLS_CERT_ALTNAME_INVALID)'],
  ])('is unreachable, and gets no request, with a certificate that %s', async (_, cert, detail) => {
    const { url, requests } = await startHttps(cert);
    expect(await post(sender, url)).toMatchObject({ kind: 'unreachable', detail });
    expect(requests).toEqual([]);
  });

  test('is unreachable when it speaks no TLS', async () => {
    const receiver = await startRawReceiver(answerWith('HTTP/1.1 400 Bad Request\r\n\r\n'));
    cleanUps.push(() => receiver.close());
    const detail = expect.stringMatching(/^TLS failed \(/);
    const outcome = await post(sender, `https://localhost:${receiver.port}/`);
    expect(outcome).toMatchObject({ kind: 'unreachable', detail });
  });

  test('is unreachable when it breaks off in the handshake', async () => {
    const receiver = await startRawReceiver((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    cleanUps.push(() => receiver.close());
    const outcome = await post(sender, `https://localhost:${receiver.port}/`);
    const detail = 'connection reset (ECONNRESET)';
    expect(outcome).toMatchObject({ kind: 'unreachable', detail });
  });

  test('is unreachable when it hangs in the handshake, and its connection is closed', async () => {
    const receiver = await startRawReceiver((socket) => socket.resume());
    cleanUps.push(() => receiver.close());
    const outcome = await post(sender, `https://localhost:${receiver.port}/`, 200);
    expect(outcome).toMatchObject({ kind: 'unreachable', detail: 'timed out connecting' });
    await expect.poll(() => receiver.openConnections).toBe(0);
  });
});

async function startHttps(certificate: Certificate): Promise<{
  readonly url: string;
  readonly requests: readonly string[];
  readonly servernames: readonly unknown[];
}> {
  const requests: string[] = [];
  const servernames: unknown[] = [];
  const server = createServer(certificate, (request, response) => {
    requests.push(`${request.url} HTTP/${request.httpVersion}`);
    request.resume().on('end', () => response.end());
  });
  server.on('secureConnection', ({ servername }) => servernames.push(servername));
  const open = keepOpenSockets(server);
  const port = await listen(server);
  cleanUps.push(() => closeServer(server, open));
  return { url: `https://localhost:${port}/webhook`, requests, servernames };
}
