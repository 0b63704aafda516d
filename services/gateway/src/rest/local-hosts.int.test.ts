import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { GrpcServer } from '@billhook/grpc';
import type { RunningService } from '@billhook/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  acceptingSubscriptions,
  startGateway,
  startSubscriptionServer,
} from '../gateway.fixture.ts';

const registration = '{"event":"*","url":"http://attacker.example/webhook"}';

let subscription: GrpcServer;
let registrations = 0;

beforeAll(async () => {
  subscription = await startSubscriptionServer({
    ...acceptingSubscriptions,
    register: (request, context) => {
      registrations += 1;
      return acceptingSubscriptions.register(request, context);
    },
  });
});

afterAll(() => subscription.stop(1_000));

describe('a gateway that asks for no key and listens on loopback', () => {
  const gateway = useGateway({ anyHost: false });

  it.each([
    'localhost',
    'localhost:8080',
    'LocalHost:80',
    'billhook.localhost:8080',
    '127.0.0.1',
    '127.0.0.1:8080',
    '127.9.9.9',
    '[::1]',
    '[::1]:8080',
  ])('is called as %s', async (host) => {
    expect(await register(gateway(), `HTTP/1.1\r\nhost: ${host}`)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('is called by HTTP/1.0 without a host, as no browser does', async () => {
    expect(await register(gateway(), 'HTTP/1.0')).toMatch(/^HTTP\/1\.1 200 /);
  });

  it.each([
    'attacker.example',
    'attacker.example:8080',
    'localhost.attacker.example',
    'attackerlocalhost',
    '127.0.0.1.attacker.example',
    'localhost@attacker.example',
    'attacker.example#localhost',
    '128.0.0.1',
    '0.0.0.0:8080',
    '10.0.0.1',
    '[::2]:8080',
    '::1',
    '.localhost',
    'localhost:x',
    'attacker.example, localhost',
    'attacker.example\r\nhost: localhost',
  ])('refuses who calls it %j, as a page can by DNS rebinding', async (host) => {
    const before = registrations;
    const answer = await register(gateway(), `HTTP/1.1\r\nhost: ${host}`);
    expect(answer).toMatch(/^HTTP\/1\.1 421 /);
    const [, body = ''] = answer.split('\r\n\r\n');
    expect(JSON.parse(body)).toMatchObject({
      status: 421,
      code: 'host_not_local',
      detail: expect.stringContaining('BILLHOOK_ALLOW_ANONYMOUS=true'),
    });
    expect(registrations).toBe(before);
  });

  it.each(['GET /openapi.json', 'GET /readyz', 'GET /nothing', 'OPTIONS /register'])(
    'refuses a foreign name at %s, too',
    async (line) => {
      const request = `${line} HTTP/1.1\r\nhost: attacker.example\r\nconnection: close\r\n\r\n`;
      expect(await send(gateway(), request)).toMatch(/^HTTP\/1\.1 421 /);
    },
  );
});

describe('a gateway that others may call without a key', () => {
  const gateway = useGateway({ anyHost: true });

  it('is called by any name', async () => {
    const answer = await register(gateway(), 'HTTP/1.1\r\nhost: billhook.example');
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });
});

/** A gateway for the tests of a block. */
function useGateway(options: { readonly anyHost: boolean }): () => RunningService {
  let gateway: RunningService;
  beforeAll(async () => {
    gateway = await startGateway({ subscription: subscription.address, ...options });
  });
  afterAll(() => gateway.stop());
  return () => gateway;
}

/** Registers with this end of the request line and these headers. */
function register(gateway: RunningService, beginning: string): Promise<string> {
  const headers = `content-type: application/json\r\ncontent-length: ${registration.length}`;
  return send(
    gateway,
    `POST /register ${beginning}\r\n${headers}\r\nconnection: close\r\n\r\n${registration}`,
  );
}

/** Sends bytes as they are, and gives back all that is answered. */
async function send(gateway: RunningService, bytes: string): Promise<string> {
  const [host = '', port] = gateway.address.split(':');
  const socket = connect({ host, port: Number(port) });
  await once(socket, 'connect');
  socket.write(bytes);
  return text(socket);
}
