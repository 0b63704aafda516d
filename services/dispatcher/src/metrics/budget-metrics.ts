import { MAX_NAME_LOOKUPS, type NameLookup } from '@billhook/destinations';
import type { Monitoring } from '@billhook/metrics';

import { MAX_WAITING, type LateAnswers } from '../dispatching/late-answers.ts';
import { MAX_FULL_ENDPOINTS } from '../dispatching/full-places.ts';
import { MAX_KNOWN, MAX_UNDER_WAY, type OwnerRequests } from '../dispatching/owner-requests.ts';
import { PING_LIMITS } from '../dispatching/ping-queue.ts';
import type { Pings } from '../dispatching/ping.ts';

/** Shows what is used of the budgets that pings and connections have beside the engine's. */
export function addPingMetrics(
  monitoring: Monitoring,
  { pings, lookup }: { readonly pings: Pings; readonly lookup: NameLookup },
): void {
  addBudget(monitoring, {
    name: 'billhook_dispatcher_pings_in_flight',
    help: 'Pings under way.',
    read: () => pings.usage().underWay,
    limit: PING_LIMITS.maxUnderWay,
    limitHelp: 'So many pings may be under way.',
  });
  addBudget(monitoring, {
    name: 'billhook_dispatcher_pings_waiting',
    help: 'Pings that wait for those under way.',
    read: () => pings.usage().waiting,
    limit: PING_LIMITS.maxWaiting,
    limitHelp: 'A call that would make more of them wait is refused, unless none waits.',
  });
  addBudget(monitoring, {
    name: 'billhook_dispatcher_name_lookups',
    help: 'Names of receivers that DNS is being asked for.',
    read: () => lookup.underWay(),
    limit: MAX_NAME_LOOKUPS,
    limitHelp: 'With so many under way, an attempt that needs another one fails.',
  });
}

/** Shows what is used of the budgets for what owners of lanes are asked, and told by former ones. */
export function addRequestMetrics(
  monitoring: Monitoring,
  deps: {
    readonly requests: Pick<OwnerRequests, 'usage'>;
    readonly lateAnswers: Pick<LateAnswers, 'waiting'>;
  },
): void {
  const { requests, lateAnswers } = deps;
  addBudget(monitoring, {
    name: 'billhook_dispatcher_requests',
    help: 'Retries by hand that were read and are not carried out yet.',
    read: () => requests.usage().requests,
    limit: MAX_KNOWN,
    limitHelp: 'With so many of them, further ones are read only if they are of parked deliveries.',
  });
  addBudget(monitoring, {
    name: 'billhook_dispatcher_requests_under_way',
    help: 'Those among them that do not pause because the log lacks their event.',
    read: () => requests.usage().requestsUnderWay,
    limit: MAX_UNDER_WAY,
    limitHelp: 'With so many under way no more are read.',
  });
  addBudget(monitoring, {
    name: 'billhook_dispatcher_full_endpoints',
    help: 'Endpoints in a lane whose dead deliveries are retried, and wait for room for their rows.',
    read: () => requests.usage().fullEndpoints,
    limit: MAX_FULL_ENDPOINTS,
    limitHelp: 'With so many of these, the dead deliveries of all others wait, too.',
  });
  addBudget(monitoring, {
    name: 'billhook_dispatcher_answers_read',
    help: 'Late answers of former owners that were read and are not taken in yet.',
    read: () => requests.usage().answers,
    limit: MAX_KNOWN,
    limitHelp: 'With so many of these answers no more are read.',
  });
  addBudget(monitoring, {
    name: 'billhook_dispatcher_late_answers',
    help: 'Late answers that wait to be written.',
    read: () => lateAnswers.waiting(),
    limit: MAX_WAITING,
    limitHelp: 'Beyond so many, late answers are dropped.',
  });
}

interface Budget {
  readonly name: string;
  readonly help: string;
  readonly read: () => number;
  readonly limit: number;
  /** What becomes of what comes beyond it. */
  readonly limitHelp: string;
}

function addBudget(monitoring: Monitoring, budget: Budget): void {
  const { name, help, read, limit, limitHelp } = budget;
  monitoring.addGauge({ name, help }, read);
  monitoring.addGauge({ name: `${name}_limit`, help: limitHelp }, () => limit);
}
