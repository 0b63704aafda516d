import { setTimeout as sleep } from 'node:timers/promises';
import type { HealthProbe } from './health.ts';
import { serviceAway, toRemoteProblem } from './remote-problems.ts';

/**
 * A call that takes longer than this has its service asked for its health. With the time of that it
 * makes the second within which the gateway says that a service is away.
 */
const PATIENCE_MS = 300;

/** How long a health check may take. */
export const HEALTH_TIMEOUT_MS = 500;

/** A service behind the gateway. */
export interface Backend {
  readonly name: string;
  readonly health: HealthProbe;
}

/**
 * Does a call, and gives it up within a second if its service is away: not there, or frozen. A
 * service that is merely slow (a name to be looked up, an endpoint to be pinged) keeps the deadline
 * of the call.
 *
 * @throws Problem
 */
export async function callBackend<Answer>(
  backend: Backend,
  start: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const over = new AbortController();
  const answer = start(over.signal);
  try {
    const suspicion = expectHealth(backend, over.signal);
    return await Promise.race([answer, suspicion.then(() => answer)]);
  } catch (error) {
    throw toRemoteProblem(error, backend.name);
  } finally {
    over.abort();
  }
}

async function expectHealth(backend: Backend, signal: AbortSignal): Promise<void> {
  await sleep(PATIENCE_MS, undefined, { signal });
  if (!(await backend.health.isServing(HEALTH_TIMEOUT_MS, signal))) throw serviceAway(backend.name);
}
