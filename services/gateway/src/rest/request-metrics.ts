import { DURATION_BUCKETS_SECONDS } from '@billhook/metrics';
import type { Counter, Histogram, Monitoring } from '@billhook/metrics';
import type { FastifyInstance } from 'fastify';

/** Stands for the route of requests that no route takes: their paths are the callers' own. */
const NO_ROUTE = 'none';

interface RouteMetrics {
  readonly duration: Histogram;
  /** By status, of which a route has few. */
  readonly answered: Map<number, Counter>;
}

/** Counts and measures requests by their route. What is no HTTP at all has none and is not counted. */
export function measureRequests(app: FastifyInstance, monitoring: Monitoring): void {
  const routes = new Map<string, RouteMetrics>();

  function metricsOf(route: string): RouteMetrics {
    let metrics = routes.get(route);
    if (metrics === undefined) {
      const duration = monitoring.addHistogram({
        name: 'billhook_http_request_duration_seconds',
        help: 'How long requests took, by their route.',
        labels: { route },
        buckets: DURATION_BUCKETS_SECONDS,
      });
      metrics = { duration, answered: new Map() };
      routes.set(route, metrics);
    }
    return metrics;
  }

  function counterOf(route: string, status: number): Counter {
    const { answered } = metricsOf(route);
    let counter = answered.get(status);
    if (counter === undefined) {
      counter = monitoring.addCounter({
        name: 'billhook_http_requests_total',
        help: 'Requests that were answered, by their route and status.',
        labels: { route, status: String(status) },
      });
      answered.set(status, counter);
    }
    return counter;
  }

  // From the start on, so that both are there before the first request.
  counterOf(NO_ROUTE, 404);
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? NO_ROUTE;
    metricsOf(route).duration.observe(reply.elapsedTime / 1_000);
    counterOf(route, reply.statusCode).add(1);
  });
}
