import type { Static } from 'typebox';
import { Problem, retrySoon } from './problem.ts';
import type { BackendStatuses } from './schemas.ts';
import { jsonAnswer, Liveness, problemAnswers, Readiness } from './schemas.ts';
import type { RestServer } from './server.ts';

/** What the routes below need to know of the services behind the gateway. */
export interface Backends {
  /** Asks each of them for its health. It answers within a second, and never rejects. */
  check(): Promise<Static<typeof BackendStatuses>>;
}

/** `GET /healthz`: the process lives. `GET /readyz`: it can do its work. */
export function addHealthRoutes(app: RestServer, backends: Backends): void {
  app.get(
    '/healthz',
    {
      schema: {
        operationId: 'healthz',
        summary: 'Whether the gateway lives',
        response: { 200: jsonAnswer('It does.', Liveness), ...problemAnswers },
      },
    },
    async (_request, reply) => reply.send({ status: 'alive' }),
  );

  app.get(
    '/readyz',
    {
      schema: {
        operationId: 'readyz',
        summary: 'Whether the gateway and the services behind it can work',
        response: { 200: jsonAnswer('They can.', Readiness), ...problemAnswers },
      },
    },
    async (_request, reply) => {
      const services = await backends.check();
      refuseWhenAway(services);
      return reply.send({ status: 'ready', services });
    },
  );
}

function refuseWhenAway(services: Static<typeof BackendStatuses>): void {
  const problem = describeAway(services);
  if (problem === undefined) return;
  throw new Problem('not_ready', `${problem}. Repeat the call in a second.`, {
    headers: retrySoon,
    members: { services },
  });
}

/** Names the services that are away, in words; undefined when none is. */
export function describeAway(services: Static<typeof BackendStatuses>): string | undefined {
  const away = Object.entries(services).filter(([, status]) => status === 'away');
  if (away.length === 0) return undefined;
  return `Out of reach: ${away.map(([name]) => name).join(' and ')}`;
}
