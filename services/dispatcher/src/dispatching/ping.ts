import { parseWebhookUrl } from '@billhook/destinations';
import { announce, invalidField, ServiceError } from '@billhook/runtime';

import type { AttemptOutcome } from '../engine/delivery.ts';
import type { RevisionBarrier } from '../subscriptions/barrier.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';
import { createPingQueue, type PingLimits, type PingUsage } from './ping-queue.ts';
import type { WebhookSender } from './webhook-sender.ts';

/** How long the set of endpoints may take to be up to date. */
const VIEW_TIMEOUT_MS = 2_000;

/** What came of one ping. */
export interface PingResult {
  readonly url: string;
  readonly outcome: AttemptOutcome;
}

/**
 * Calls one endpoint or all of a tenant at once, past the queues, states and retries of deliveries.
 *
 * @param url the address of an endpoint; empty for all.
 * @returns a result for each endpoint.
 * @throws ServiceError `NOT_FOUND` for an address that is not registered, `UNAVAILABLE` when the
 *   set of endpoints is not known, `RESOURCE_EXHAUSTED` when too many pings wait.
 */
export type Ping = (
  url: string,
  caller: { readonly tenant: string; readonly signal: AbortSignal },
) => Promise<PingResult[]>;

/** The pings of a dispatcher. */
export interface Pings {
  readonly ping: Ping;
  /** Says how many are under way, and how many wait. */
  usage(): PingUsage;
}

/** Makes them. `timeoutMs` is the deadline for all those of a call together. */
export function createPings(
  deps: {
    readonly barrier: RevisionBarrier;
    readonly view: SubscriptionView;
    readonly sender: WebhookSender;
  },
  { timeoutMs, limits }: { readonly timeoutMs: number; readonly limits: PingLimits },
): Pings {
  const { barrier, view, sender } = deps;
  const queue = createPingQueue((endpoint, leftMs, onDone) => {
    announce(`Pinging ${endpoint.url}`);
    sender.ping(endpoint, leftMs, onDone);
  }, limits);

  async function refreshView(signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(VIEW_TIMEOUT_MS)]);
    try {
      await barrier.awaitCurrent(limit);
    } catch (cause) {
      const message = 'the registered endpoints are not known at the moment; try again';
      throw new ServiceError('UNAVAILABLE', 'SUBSCRIPTIONS_UNAVAILABLE', message, { cause });
    }
  }

  return {
    async ping(url, { tenant, signal }) {
      const deadlineMs = performance.now() + timeoutMs;
      await refreshView(signal);
      const endpoints = select(view, url, tenant);
      const outcomes = await queue.pingAll(endpoints, { deadlineMs, signal });
      return outcomes.map((outcome, index) => ({ url: endpoints[index]?.url ?? '', outcome }));
    },
    usage: () => queue.usage(),
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
