import { setTimeout as sleep } from 'node:timers/promises';
import type { RestCalls } from '../system/rest-calls.ts';

/** A steady stream of registrations of what is registered already, by a client that tries again. */
export interface Registrations {
  /** Why a registration was not answered well, however often it was tried. */
  readonly failures: readonly string[];
  finish(): Promise<void>;
}

const PAUSE_MS = 50;
const FIRST_BACKOFF_MS = 50;

/** Starts it. Each registration is tried so many times, with growing pauses. */
export function startRegistrations(
  rest: RestCalls,
  urls: readonly string[],
  attempts: number,
): Registrations {
  const failures: string[] = [];
  const finishing = new AbortController();

  async function register(url: string): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await rest.register('*', url);
        return;
      } catch (error) {
        if (attempt === attempts) {
          failures.push(String(error));
          return;
        }
        await sleep(FIRST_BACKOFF_MS * 2 ** attempt);
      }
    }
  }

  async function run(): Promise<void> {
    while (!finishing.signal.aborted) {
      for (const url of urls) await register(url);
      await sleep(PAUSE_MS);
    }
  }

  const running = run();
  return {
    failures,
    async finish() {
      finishing.abort();
      await running;
    },
  };
}
