import { createAddressPolicy } from './address-policy.ts';
import { createOriginPolicy } from './origin-policy.ts';
import type { AddressPolicy } from './address-policy.ts';
import type { OriginPolicy, OriginRules } from './origin-policy.ts';

/** All that decides where a delivery may go. */
export interface DestinationPolicy {
  /** Of schemes and ports, which a URL has once and for all. */
  readonly origins: OriginPolicy;
  /** Of addresses, which the host of a URL may have today and not tomorrow. */
  readonly addresses: AddressPolicy;
}

/** As the settings have them. */
export interface DestinationRules extends OriginRules {
  /** CIDRs that may be reached although they are internal. */
  readonly allowDestinations: readonly string[];
}

/**
 * Makes the policy.
 *
 * @throws Error when one of the CIDRs is none.
 */
export function createDestinationPolicy(rules: DestinationRules): DestinationPolicy {
  return {
    origins: createOriginPolicy(rules),
    addresses: createAddressPolicy({ allow: rules.allowDestinations }),
  };
}
