import { resolveDestination } from '@billhook/destinations';
import type { AddressPolicy, Lookup } from '@billhook/destinations';
import { invalidField } from '@billhook/runtime';

/** A name that is slower is accepted: each delivery judges the addresses that it then has. */
const RESOLVE_TIMEOUT_MS = 1_000;

/**
 * Refuses a host that deliveries must not reach. A name that does not resolve is accepted.
 *
 * @param hostname a name or an IP address, without brackets.
 * @throws ServiceError `INVALID_ARGUMENT` on the field `url`.
 */
export type RequireReachable = (hostname: string) => Promise<void>;

/** Makes the check of what is registered. */
export function createReachableCheck(policy: AddressPolicy, lookup: Lookup): RequireReachable {
  const options = { timeoutMs: RESOLVE_TIMEOUT_MS, lookup };
  return async (hostname) => {
    const resolution = await resolveDestination(hostname, policy, options);
    if (resolution.kind === 'refused') {
      const description =
        `must not lead to an internal address: ${resolution.address} is refused ` +
        `(${resolution.reason})`;
      throw invalidField('url', 'DESTINATION_REFUSED', description);
    }
  };
}
