import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Monitoring } from '@billhook/metrics';
import type { Log } from '@billhook/runtime';
import { fastify } from 'fastify';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerErrorsAsProblems, sendProblem, toProblem } from './errors.ts';
import { addHealthRoutes } from './health.ts';
import type { Backends } from './health.ts';
import { answerExpectations, answerMalformedHttp } from './malformed-http.ts';
import { addOpenApiRoute, collectOpenApi } from './openapi.ts';
import { requireLocalHost } from './local-hosts.ts';
import { addPingRoute } from './ping.ts';
import type { Pinger } from './ping.ts';
import { addSafetyHeaders, BODY_LIMIT_BYTES, checkRequestLine } from './request-checks.ts';
import { measureRequests } from './request-metrics.ts';
import { answerUnroutedRequests } from './routing.ts';
import { addWebhookRoutes } from './webhooks.ts';
import type { Webhooks } from './webhooks.ts';

/** The headers of a request must be there within this time. */
const HEADERS_TIMEOUT_MS = 10_000;

/** The whole request, body included, must be there within this time. */
const REQUEST_TIMEOUT_MS = 20_000;

/** How often connections are looked at for the two limits above. */
const TIMEOUT_CHECK_INTERVAL_MS = 1_000;

/** Longer than the idle time of common proxies, so that they close first and no request is lost. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;

const MAX_HEADER_BYTES = 16 * 1024;

export type RestServer = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

export interface RestServerDependencies {
  readonly webhooks: Webhooks;
  readonly pinger: Pinger;
  readonly backends: Backends;
  readonly log: Log;
  readonly monitoring: Monitoring;
}

export interface RestServerOptions {
  /** What `/openapi.json` names. */
  readonly version: string;
  /** Whether a request may be for any host, instead of those that only this machine can call. */
  readonly anyHost: boolean;
}

/** Makes the HTTP server with all its routes; it does not listen yet. */
export async function createRestServer(
  deps: RestServerDependencies,
  { version, anyHost }: RestServerOptions,
): Promise<RestServer> {
  const app = createApp(deps.log);
  app.removeAllContentTypeParsers();
  // The checks of the routes decide which content types are taken; the body arrives as it is.
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  // What a schema does not name must not vanish from an answer in silence.
  app.setSerializerCompiler(() => JSON.stringify);

  measureRequests(app, deps.monitoring);
  answerErrorsAsProblems(app, deps.log);
  answerExpectations(app.server);
  app.addHook('onRequest', addSafetyHeaders);
  app.addHook('onRequest', checkRequestLine);
  if (!anyHost) app.addHook('onRequest', requireLocalHost);
  answerUnroutedRequests(app);
  closeConnectionsWhenStopping(app);

  await collectOpenApi(app, version);
  addWebhookRoutes(app, deps.webhooks);
  addPingRoute(app, deps.pinger);
  addHealthRoutes(app, deps.backends);
  addOpenApiRoute(app);
  await app.ready();
  return app;
}

function createApp(log: Log): RestServer {
  return fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // A request that still arrives on an open connection while the server stops is served.
    return503OnClosing: false,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      // Checked by `checkRequestLine`, which answers with problem details.
      requireHostHeader: false,
    },
    ajv: {
      customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false },
    },
    clientErrorHandler: answerMalformedHttp,
    frameworkErrors: (error, request, reply) => {
      sendProblem(reply, toProblem(error, request, log));
    },
  }).withTypeProvider<TypeBoxTypeProvider>();
}

/** A connection whose request was under way when the stop began closes with its answer. */
function closeConnectionsWhenStopping(app: RestServer): void {
  let isStopping = false;
  app.addHook('preClose', async () => {
    isStopping = true;
  });
  app.addHook('onSend', async (_request, reply) => {
    if (isStopping) reply.header('connection', 'close');
  });
}
