import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from './problem.ts';

/**
 * Answers what no route takes: `OPTIONS` of a known path with the methods it has, another method
 * with 405, an unknown path with 404. It does so before a body is read. Call it before the routes
 * are registered, so that it sees them all.
 */
export function answerUnroutedRequests(app: FastifyInstance): void {
  const methodsByPath = new Map<string, Set<string>>();

  app.addHook('onRoute', (route) => {
    const methods = methodsByPath.get(route.url) ?? new Set(['OPTIONS']);
    methodsByPath.set(route.url, methods);
    for (const method of [route.method].flat()) methods.add(method);
  });

  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return undefined;
    return answerUnrouted(request, reply, allowedMethods(methodsByPath, request.url));
  });
}

function answerUnrouted(
  request: FastifyRequest,
  reply: FastifyReply,
  allowed: readonly string[],
): FastifyReply {
  if (allowed.length === 0) {
    throw new Problem('route_not_found', 'There is nothing at this path. See /openapi.json.');
  }
  const headers = { allow: allowed.join(', ') };
  if (request.method === 'OPTIONS') return reply.code(204).headers(headers).send();
  throw new Problem('method_not_allowed', `This path supports ${headers.allow} only.`, { headers });
}

/** `OPTIONS *` asks for the server as a whole. */
function allowedMethods(methodsByPath: Map<string, Set<string>>, url: string): readonly string[] {
  if (url === '*') return [...new Set([...methodsByPath.values()].flatMap((set) => [...set]))];
  return [...(methodsByPath.get(url.split('?', 1)[0] ?? '') ?? [])];
}
