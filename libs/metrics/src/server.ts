import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { ConfigurationError, type Address, type Log, type Stoppable } from '@billhook/runtime';
import { collectDefaultMetrics } from 'prom-client';
import type { Monitoring } from './monitoring.ts';

/** Slow and idle clients are cut off; a scrape takes milliseconds. */
const REQUEST_TIMEOUT_MS = 5_000;
const MAX_HEADER_BYTES = 8 * 1024;

export interface MonitoringServer extends Stoppable {
  /** `host:port` on which it listens. */
  readonly address: string;
}

/**
 * Serves `GET /metrics` for Prometheus, `GET /healthz` (the process lives) and `GET /readyz` (200, or
 * 503 with what keeps it from its work). To the metrics it adds what Node tells of memory, CPU and the
 * event loop.
 *
 * @throws ConfigurationError when it cannot listen on the address.
 */
export async function startMonitoringServer(
  monitoring: Monitoring,
  { address, log }: { readonly address: Address; readonly log: Log },
): Promise<MonitoringServer> {
  collectDefaultMetrics({ register: monitoring.registry });
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: MAX_HEADER_BYTES },
    (request, response) => {
      answer(monitoring, request, response).catch((error: unknown) => {
        log.error({ err: error }, 'the metrics could not be read');
        response.writeHead(500).end();
      });
    },
  );
  server.listen(address.port, address.host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new ConfigurationError(
      `Billhook cannot serve metrics on ${address.text} (BILLHOOK_METRICS_ADDR): ` +
        `${error instanceof Error ? error.message : String(error)}.`,
      { cause: error },
    );
  }
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  return {
    address: address.text.replace(/\d+$/, String(port)),
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  { registry, text, problems }: Monitoring,
  { method, url }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  const path = (url ?? '').split('?')[0] ?? '';
  switch (path) {
    case '/metrics':
      return send(response, {
        status: 200,
        type: registry.contentType,
        body: await text(),
      });
    case '/healthz':
      return sendJson(response, 200, { status: 'alive' });
    case '/readyz': {
      const found = await problems();
      if (found.length === 0) return sendJson(response, 200, { status: 'ready' });
      return sendJson(response, 503, { status: 'not_ready', problems: found });
    }
    default:
      return sendJson(response, 404, { status: 'not_found' });
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  send(response, { status, type: 'application/json', body: JSON.stringify(body) });
}

function send(
  response: ServerResponse,
  { status, type, body }: { readonly status: number; readonly type: string; readonly body: string },
): void {
  // Node sends no body to a HEAD.
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}
