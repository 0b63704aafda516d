import swagger from '@fastify/swagger';
import type { RestServer } from './server.ts';

/** Collects the schemas of all routes that are registered after it. */
export async function collectOpenApi(app: RestServer, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Billhook',
        description: 'Registers webhooks for the events of invoices.',
        version,
      },
    },
  });
}

/** `GET /openapi.json`: the description of the routes, made from the schemas that validate. */
export function addOpenApiRoute(app: RestServer): void {
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('application/json').send(app.swagger()),
  );
}
