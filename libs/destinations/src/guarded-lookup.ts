import type { LookupFunction } from 'node:net';
import { callbackify } from 'node:util';
import type { AddressPolicy } from './address-policy.ts';
import { systemLookup } from './lookup.ts';
import type { Lookup, LookupAddress } from './lookup.ts';
import { judgeAddresses } from './resolve-destination.ts';

/** A connection to an address that no delivery may reach. */
export class DestinationRefusedError extends Error {
  readonly code = 'DESTINATION_REFUSED';

  constructor(address: string, reason: string) {
    super(`${address} is refused as a destination: ${reason}`);
    this.name = 'DestinationRefusedError';
  }
}

/** What a resolver of Node answers for a name without an address. */
class NoAddressError extends Error {
  readonly code = 'ENOTFOUND';
}

/**
 * Makes the `lookup` of `net.connect` and `tls.connect`: what is connected to is what was judged
 * here, whatever the name resolves to later. One refused address among several refuses the name.
 *
 * Node looks nothing up for a host that is an IP address: whoever connects has to `check` it.
 */
export function createGuardedLookup(
  policy: AddressPolicy,
  lookup: Lookup = systemLookup,
): LookupFunction {
  const findAllowed = callbackify(async (hostname: string) => {
    const resolution = judgeAddresses(await lookup(hostname), policy);
    switch (resolution.kind) {
      case 'allowed':
        return resolution.addresses;
      case 'refused':
        throw new DestinationRefusedError(resolution.address, resolution.reason);
      case 'unresolved':
        throw new NoAddressError(`${hostname} has no address`);
    }
  });
  return (hostname, options, callback) =>
    findAllowed(hostname, (error, allowed) => {
      const addresses = error ? [] : ofFamily(allowed, options.family);
      const [first] = addresses;
      if (error) {
        callback(error, '');
      } else if (first === undefined) {
        callback(new NoAddressError(`${hostname} has no address of the family asked for`), '');
      } else if (options.all === true) {
        callback(null, [...addresses]);
      } else {
        callback(null, first.address, first.family);
      }
    });
}

/** @param family 4 or 6, also in words; anything else asks for both. */
function ofFamily(
  addresses: readonly LookupAddress[],
  family: number | string | undefined,
): readonly LookupAddress[] {
  const wanted = family === 4 || family === 'IPv4' ? 4 : family === 6 || family === 'IPv6' ? 6 : 0;
  return wanted === 0 ? addresses : addresses.filter((address) => address.family === wanted);
}
