import { parseWebhookUrl } from '@billhook/destinations';
import { announce, invalidField, ServiceError } from '@billhook/runtime';

import type { AttemptOutcome } from '../engine/delivery.ts';
import type { RevisionBarrier } from '../subscriptions/barrier.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';
import type { WebhookSender } from './webhook-sender.ts';

/** Pings under way at a time, for all that are asked for together. */
const CONCURRENCY = 256;

/** How long the set of endpoints may take to be up to date. */
const VIEW_TIMEOUT_MS = 2_000;

/** What came of one ping. */
export interface PingResult {
  readonly url: string;
  readonly outcome: AttemptOutcome;
}

/**
 * Calls one endpoint or all of a tenant at once, past queues, states and retries.
 *
 * @param url the address of an endpoint; empty for all.
 * @returns a result for each endpoint.
 * @throws ServiceError `NOT_FOUND` for an address that is not registered, `UNAVAILABLE` when the
 *   set of endpoints is not known.
 */
export type Ping = (
  url: string,
  caller: { readonly tenant: string; readonly signal: AbortSignal },
) => Promise<PingResult[]>;

/** Makes the ping of a dispatcher. `timeoutMs` is the deadline for all of them together. */
export function createPing(
  deps: {
    readonly barrier: RevisionBarrier;
    readonly view: SubscriptionView;
    readonly sender: WebhookSender;
  },
  { timeoutMs }: { readonly timeoutMs: number },
): Ping {
  const { barrier, view, sender } = deps;

  async function refreshView(signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(VIEW_TIMEOUT_MS)]);
    try {
      await barrier.awaitCurrent(limit);
    } catch (cause) {
      const message = 'the registered endpoints are not known at the moment; try again';
      throw new ServiceError('UNAVAILABLE', 'SUBSCRIPTIONS_UNAVAILABLE', message, { cause });
    }
  }

  function pingOne(endpoint: WatchedEndpoint, deadlineMs: number): Promise<PingResult> {
    const leftMs = deadlineMs - performance.now();
    const { url } = endpoint;
    if (leftMs <= 0) {
      const outcome = { kind: 'unreachable', durationMs: 0, detail: 'timed out' } as const;
      return Promise.resolve({ url, outcome });
    }
    announce(`Pinging ${url}`);
    return new Promise((resolve) => {
      sender.ping(endpoint, leftMs, (outcome) => resolve({ url, outcome }));
    });
  }

  return async (url, { tenant, signal }) => {
    const deadlineMs = performance.now() + timeoutMs;
    await refreshView(signal);
    const endpoints = select(view, url, tenant);
    const results: PingResult[] = [];
    const queue = endpoints.entries();
    const work = async (): Promise<void> => {
      for (const [index, endpoint] of queue) results[index] = await pingOne(endpoint, deadlineMs);
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, endpoints.length) }, work));
    return results;
  };
}

function select(view: SubscriptionView, url: string, tenant: string): WatchedEndpoint[] {
  const ofTenant = [...view.endpoints()].filter((endpoint) => endpoint.tenant === tenant);
  if (url === '') return ofTenant;
  const parsed = parseWebhookUrl(url);
  if (parsed.kind === 'invalid') throw invalidField('url', 'URL_INVALID', parsed.message);
  const found = ofTenant.filter((endpoint) => endpoint.url === parsed.url);
  if (found.length === 0) {
    throw new ServiceError('NOT_FOUND', 'NOT_REGISTERED', `${parsed.url} is not registered`);
  }
  return found;
}
