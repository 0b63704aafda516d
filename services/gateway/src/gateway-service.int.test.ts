import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Socket } from 'node:net';
import { deliveryV1 } from '@billhook/contracts';
import type { GrpcServer } from '@billhook/grpc';
import { invalidField, ServiceError } from '@billhook/runtime';
import type { RunningService } from '@billhook/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import {
  acceptingSubscriptions,
  refusingSubscriptions,
  startDeliveryServer,
  startGateway,
  startSubscriptionServer,
} from './gateway.fixture.ts';
import type { PingHandler, SubscriptionHandlers } from './gateway.fixture.ts';

const webhook = { event: 'myEvent', url: 'http://myurl.com/webhook' };
const asksForJson = { accept: 'application/json' };

const started: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of started.splice(0).toReversed()) await stop();
});

describe('a registration', () => {
  it('is answered with the sentence, as HTML', async () => {
    const gateway = await gatewayWith(acceptingSubscriptions);
    const response = await post(gateway, '/register', webhook);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(await response.text()).toBe('Webhook for "myEvent" registered successfully');
  });

  it('is answered with JSON on request, with the secret of a new endpoint', async () => {
    const gateway = await gatewayWith(acceptingSubscriptions);
    const response = await post(gateway, '/register', webhook, asksForJson);
    expect(response.headers.get('content-type')).toMatch(/^application\/json\b/);
    expect(await response.json()).toEqual({
      endpoint_id: 'ep_1',
      ...webhook,
      status: 'active',
      secret: 'whsec_shown_once',
    });
  });

  it('has no secret in its answer when the endpoint was there before', async () => {
    const gateway = await gatewayWith({
      ...acceptingSubscriptions,
      register: async (request, context) => {
        const response = await acceptingSubscriptions.register(request, context);
        const endpoint = response.endpoint && {
          ...response.endpoint,
          state: 'ENDPOINT_STATE_PAUSED' as const,
        };
        return { ...response, endpoint, secret: '' };
      },
    });
    const response = await post(gateway, '/register', webhook, asksForJson);
    expect(await response.json()).toEqual({ endpoint_id: 'ep_1', ...webhook, status: 'paused' });
  });

  it('belongs to the tenant default, and arrives as it was sent', async () => {
    const calls: unknown[] = [];
    const gateway = await gatewayWith({
      ...acceptingSubscriptions,
      register: (request, context) => {
        calls.push({ ...request, tenant: context.tenant });
        return acceptingSubscriptions.register(request, context);
      },
    });
    await post(gateway, '/register', { event: '*', url: webhook.url });
    expect(calls).toEqual([{ event: '*', url: webhook.url, filter: '', tenant: 'default' }]);
  });

  it('hands its filter on as JSON', async () => {
    const filters: string[] = [];
    const gateway = await gatewayWith({
      ...acceptingSubscriptions,
      register: (request, context) => {
        filters.push(request.filter);
        return acceptingSubscriptions.register(request, context);
      },
    });
    const filter = { 'data.amount': { gte: 1_000.5 }, not: { event: 'ü' } };
    const response = await post(gateway, '/register', { ...webhook, filter });
    expect(await response.text()).toBe('Webhook for "myEvent" registered successfully');
    expect(filters).toEqual([JSON.stringify(filter)]);
  });

  it('whose filter is refused says where it is wrong', async () => {
    const field = 'filter.or[1]["data.amount"].gte';
    const error = invalidField(field, 'FILTER_INVALID', 'must be a number');
    const gateway = await gatewayWith(refusingSubscriptions(error));
    const response = await post(gateway, '/register', { ...webhook, filter: { or: [] } });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'invalid_filter', field });
  });
});

describe('an unregistration', () => {
  it('is answered with the sentence, or with JSON', async () => {
    const gateway = await gatewayWith(acceptingSubscriptions);
    const sentence = await post(gateway, '/unregister', webhook);
    expect(sentence.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(await sentence.text()).toBe('Webhook for "myEvent" unregistered successfully');
    const json = await post(gateway, '/unregister', webhook, asksForJson);
    expect(await json.json()).toEqual({
      endpoint_id: 'ep_1',
      ...webhook,
      status: 'unregistered',
    });
  });
});

describe('what the subscription service refuses', () => {
  it.each([
    [new ServiceError('NOT_FOUND', 'NOT_REGISTERED', 'It is not.'), 404, 'not_registered'],
    [new ServiceError('ALREADY_EXISTS', 'TAKEN', 'It is taken.'), 409, 'conflict'],
    [new ServiceError('ABORTED', 'ETAG_MISMATCH', 'It moved on.'), 409, 'conflict'],
    [new ServiceError('FAILED_PRECONDITION', 'NO', 'Not now.'), 409, 'conflict'],
    [new ServiceError('RESOURCE_EXHAUSTED', 'QUEUE_FULL', 'Too much.'), 503, 'overloaded'],
    [new ServiceError('UNAVAILABLE', 'AWAY', 'Gone.'), 503, 'service_unavailable'],
    [new ServiceError('DEADLINE_EXCEEDED', 'LATE', 'Late.'), 504, 'deadline_exceeded'],
    [new ServiceError('INTERNAL', 'INTERNAL', 'secret detail'), 500, 'internal'],
    [invalidField('url', 'DESTINATION_REFUSED', 'It is internal.'), 400, 'destination_refused'],
    [invalidField('url', 'HTTPS_REQUIRED', 'It is http.'), 400, 'https_required'],
    [invalidField('url', 'PORT_REFUSED', 'It is 25.'), 400, 'port_refused'],
    [invalidField('url', 'SOMETHING_NEW', 'It is odd.'), 400, 'invalid_argument'],
  ])('with %s is answered %i', async (error, status, code) => {
    const gateway = await gatewayWith(refusingSubscriptions(error));
    const response = await post(gateway, '/unregister', webhook);
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(response.headers.get('retry-after')).toBe(status === 503 ? '1' : null);
    const problem = await response.text();
    expect(JSON.parse(problem)).toMatchObject({ status, code });
    expect(problem).not.toContain('secret detail');
  });

  it('in half a sentence is answered in a whole one', async () => {
    const error = invalidField('url', 'URL_NOT_ABSOLUTE', 'must be absolute');
    const gateway = await gatewayWith(refusingSubscriptions(error));
    const response = await post(gateway, '/register', webhook);
    expect(await response.json()).toMatchObject({
      code: 'url_not_absolute',
      detail: 'The field "url" must be absolute.',
    });
  });

  it('because of a field is answered with that field and its sentence', async () => {
    const error = invalidField('url', 'DESTINATION_REFUSED', 'The address is internal.');
    const gateway = await gatewayWith(refusingSubscriptions(error));
    const response = await post(gateway, '/register', webhook);
    expect(await response.json()).toMatchObject({
      field: 'url',
      detail: 'The address is internal.',
    });
  });
});

describe('a service that is away', () => {
  it.each([
    ['is not there', async () => '127.0.0.1:1'],
    ['is frozen', frozenServer],
  ])('because it %s is told within a second, with Retry-After', async (_name, target) => {
    const gateway = await running(startGateway({ subscription: await target() }));
    const startedAtMs = performance.now();
    const response = await post(gateway, '/register', webhook);
    expect(performance.now() - startedAtMs).toBeLessThan(1_000);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await response.json()).toMatchObject({ code: 'service_unavailable' });
  });

  it('is not confused with one that takes its time', async () => {
    const gateway = await gatewayWith({
      ...acceptingSubscriptions,
      register: async (request, context) => {
        await sleep(1_200);
        return acceptingSubscriptions.register(request, context);
      },
    });
    expect((await post(gateway, '/register', webhook)).status).toBe(200);
  });

  it('makes the gateway not ready, but leaves it alive', async () => {
    const subscription = await serving(startSubscriptionServer(acceptingSubscriptions));
    const gateway = await running(startGateway({ subscription: subscription.address }));
    const readiness = await fetch(`http://${gateway.address}/readyz`);
    expect(readiness.status).toBe(503);
    expect(readiness.headers.get('retry-after')).toBe('1');
    expect(await readiness.json()).toMatchObject({
      code: 'not_ready',
      services: { subscription: 'serving', delivery: 'away' },
    });
    expect((await fetch(`http://${gateway.address}/healthz`)).status).toBe(200);
  });

  it('is called again as soon as it is back', async () => {
    const first = await startSubscriptionServer(acceptingSubscriptions);
    const gateway = await running(startGateway({ subscription: first.address }));
    await first.stop(1_000);
    expect((await post(gateway, '/register', webhook)).status).toBe(503);
    await serving(startSubscriptionServer(acceptingSubscriptions, first.address));
    await expect
      .poll(async () => (await post(gateway, '/register', webhook)).status, { timeout: 5_000 })
      .toBe(200);
  });
});

describe('a gateway with both services', () => {
  it('is ready', async () => {
    const gateway = await gatewayWith(acceptingSubscriptions);
    const response = await fetch(`http://${gateway.address}/readyz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      status: 'ready',
      services: { subscription: 'serving', delivery: 'serving' },
    });
  });

  it('is not ready while one of them says that it does not serve', async () => {
    const subscription = await serving(startSubscriptionServer(acceptingSubscriptions));
    const delivery = await serving(startDeliveryServer(pingNobody));
    const gateway = await running(
      startGateway({ subscription: subscription.address, delivery: delivery.address }),
    );
    subscription.setServing(false);
    expect((await fetch(`http://${gateway.address}/readyz`)).status).toBe(503);
  });
});

describe('a ping', () => {
  it('to all endpoints is answered with what came of each', async () => {
    const urls: string[] = [];
    const gateway = await gatewayWith(acceptingSubscriptions, async ({ url }) => {
      urls.push(url);
      return deliveryV1.PingResponse.create({
        results: [
          ping('http://a/', 'ATTEMPT_OUTCOME_DELIVERED', 204),
          ping('http://b/', 'ATTEMPT_OUTCOME_REJECTED', 500),
          ping('http://c/', 'ATTEMPT_OUTCOME_UNREACHABLE', 0),
          ping('http://d/', 'ATTEMPT_OUTCOME_REFUSED', 0),
        ],
      });
    });
    const response = await post(gateway, '/ping', {});
    expect(await response.json()).toEqual([
      { url: 'http://a/', outcome: 'delivered', status: 204, duration_ms: 7 },
      { url: 'http://b/', outcome: 'rejected', status: 500, duration_ms: 7 },
      { url: 'http://c/', outcome: 'unreachable', status: null, duration_ms: 7 },
      { url: 'http://d/', outcome: 'refused', status: null, duration_ms: 7 },
    ]);
    expect(urls).toEqual(['']);
  });

  it.each([
    [2_100, 2_000],
    [10_000, 420],
  ])('is answered with all results, as %i with addresses of %i characters', async (count, size) => {
    const urls = Array.from({ length: count }, (_, index) =>
      `http://a/${index}?`.padEnd(size, 'x'),
    );
    const gateway = await gatewayWith(acceptingSubscriptions, async () =>
      deliveryV1.PingResponse.create({
        results: urls.map((url) => ping(url, 'ATTEMPT_OUTCOME_DELIVERED', 204)),
      }),
    );
    const response = await post(gateway, '/ping', {});
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(
      urls.map((url) => ({ url, outcome: 'delivered', status: 204, duration_ms: 7 })),
    );
  });

  it('to an endpoint that is not registered is 404', async () => {
    const gateway = await gatewayWith(acceptingSubscriptions, async () => {
      throw new ServiceError('NOT_FOUND', 'NOT_REGISTERED', 'http://a.b/ is not registered');
    });
    const response = await post(gateway, '/ping', { url: 'http://nobody.example/' });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      code: 'not_registered',
      detail: 'http://a.b/ is not registered.',
    });
  });
});

describe('a stop', () => {
  it('finishes what is under way, closes idle connections, and is quick', async () => {
    const entered = Promise.withResolvers<undefined>();
    const gateway = await gatewayWith({
      ...acceptingSubscriptions,
      register: async (request, context) => {
        entered.resolve(undefined);
        await sleep(300);
        return acceptingSubscriptions.register(request, context);
      },
    });
    const idle = await connectTo(gateway);
    const idleClosed = once(idle, 'close');
    const underWay = post(gateway, '/register', webhook);
    await entered.promise;
    const startedAtMs = performance.now();
    await gateway.stop();
    expect(performance.now() - startedAtMs).toBeLessThan(2_000);
    const response = await underWay;
    expect(response.status).toBe(200);
    expect(response.headers.get('connection')).toBe('close');
    await idleClosed;
  });
});

const pingNobody: PingHandler = async () => deliveryV1.PingResponse.create({});

/** Starts a gateway with servers behind it that answer as given. */
async function gatewayWith(
  subscriptions: SubscriptionHandlers,
  pings: PingHandler = pingNobody,
): Promise<RunningService> {
  const subscription = await serving(startSubscriptionServer(subscriptions));
  const delivery = await serving(startDeliveryServer(pings));
  return running(startGateway({ subscription: subscription.address, delivery: delivery.address }));
}

async function running(start: Promise<RunningService>): Promise<RunningService> {
  const service = await start;
  started.push(() => service.stop());
  return service;
}

async function serving(start: Promise<GrpcServer>): Promise<GrpcServer> {
  const server = await start;
  started.push(() => server.stop(1_000));
  return server;
}

/** Takes connections and says nothing, like a process that was stopped by a signal. */
async function frozenServer(): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.add(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  started.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was bound');
  return `127.0.0.1:${address.port}`;
}

async function connectTo(gateway: RunningService): Promise<Socket> {
  const [host, port] = gateway.address.split(':');
  const socket = connect({ host: String(host), port: Number(port) });
  await once(socket, 'connect');
  return socket;
}

function post(
  gateway: RunningService,
  path: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(`http://${gateway.address}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

function ping(
  url: string,
  outcome: deliveryV1.AttemptOutcome,
  status: number,
): deliveryV1.PingResult {
  return { url, outcome, status, durationMs: 7 };
}
