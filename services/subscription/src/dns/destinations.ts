import { isIP } from 'node:net';
import { resolveDestination } from '@billhook/destinations';
import type { DestinationPolicy, Lookup, OriginRefusal } from '@billhook/destinations';
import { invalidField } from '@billhook/runtime';
import type { Log } from '@billhook/runtime';

/** A name that is slower is accepted: each delivery judges the addresses that it then has. */
const RESOLVE_TIMEOUT_MS = 1_000;

const demands: Readonly<Record<OriginRefusal['code'], string>> = {
  HTTPS_REQUIRED: 'must begin with https://',
  PORT_REFUSED: 'must name another port',
};

/** The address of a receiver, taken apart as far as it is judged. */
export interface Destination {
  readonly url: string;
  /** A name or an IP address, without brackets. */
  readonly hostname: string;
}

/**
 * Refuses an address that deliveries must not reach. A name that does not resolve is accepted.
 *
 * @throws ServiceError `INVALID_ARGUMENT` on the field `url`.
 */
export type RequireReachable = (destination: Destination) => Promise<void>;

/**
 * Makes the check of what is registered. Which internal address a name has, the log alone is told: who
 * registers may be an outsider.
 */
export function createReachableCheck(
  deps: { readonly lookup: Lookup; readonly log: Log },
  policy: DestinationPolicy,
): RequireReachable {
  const { lookup, log } = deps;
  const options = { timeoutMs: RESOLVE_TIMEOUT_MS, lookup };
  return async ({ url, hostname }) => {
    const origin = policy.origins.check(new URL(url));
    if (origin.kind === 'refused') {
      throw invalidField('url', origin.code, `${demands[origin.code]}: ${origin.reason}`);
    }
    const resolution = await resolveDestination(hostname, policy.addresses, options);
    if (resolution.kind === 'refused') {
      const { address, reason } = resolution;
      log.debug({ hostname, address, reason }, 'an address is not registered');
      const what = isIP(hostname) === 0 ? `${hostname} has one that` : address;
      const description = `must not lead to an internal address: ${what} is refused (${reason})`;
      throw invalidField('url', 'DESTINATION_REFUSED', description);
    }
  };
}
