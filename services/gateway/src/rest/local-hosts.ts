import type { FastifyRequest } from 'fastify';
import { isLoopback, parseAddress } from '@billhook/runtime';
import { Problem } from './problem.ts';

/** Stands in for the port that a host header may leave out. */
const HTTP_PORT = 80;

/**
 * Refuses a request for a name that is not this machine's own. A web page may have its own name lead
 * here (DNS rebinding), and its browser then takes the answers for those of the page's server; the
 * name is all that tells such a request from others. No browser leaves the host out.
 *
 * @throws Problem
 */
export async function requireLocalHost({ raw }: FastifyRequest): Promise<void> {
  const { host } = raw.headers;
  if (!host || isLocal(host)) return;
  throw new Problem(
    'host_not_local',
    'Without keys, this gateway is there for its own machine alone: call it as localhost or ' +
      '127.0.0.1. A reverse proxy on this machine has to send the header "host: localhost", or ' +
      'Billhook has to be started with BILLHOOK_ALLOW_ANONYMOUS=true.',
  );
}

/** `localhost` and all names below it lead to loopback in every browser. */
function isLocal(host: string): boolean {
  const address = parseAddress(/:\d+$/.test(host) ? host : `${host}:${HTTP_PORT}`);
  if (address === undefined) return false;
  return isLoopback(address) || address.host.toLowerCase().endsWith('.localhost');
}
