import type { LookupFunction } from 'node:net';
import { callbackify } from 'node:util';
import type { AddressPolicy } from './address-policy.ts';
import { NameNotResolvedError } from './lookup.ts';
import type { Lookup, LookupAddress } from './lookup.ts';
import { findAddresses, judgeAddresses } from './resolve-destination.ts';

/** A connection to where no delivery may go. */
export class DestinationRefusedError extends Error {
  readonly code = 'DESTINATION_REFUSED';

  constructor(destination: string, reason: string) {
    super(`${destination} is refused as a destination: ${reason}`);
    this.name = 'DestinationRefusedError';
  }
}

/**
 * The addresses of a name that may be tried. All are judged; but a name can have thousands, and
 * whoever registered it must not have us knock on as many doors of others.
 */
const MAX_TRIED_ADDRESSES = 8;

/**
 * Makes a lookup that finds what a connection may go to: the addresses of a name, or a number itself,
 * if every one of them is allowed. Whoever connects has to connect to one of these.
 *
 * It rejects with a `DestinationRefusedError` or a `NameNotResolvedError`.
 */
export function createCheckedLookup(policy: AddressPolicy, lookup: Lookup): Lookup {
  return async (hostname) => {
    const resolution = judgeAddresses(await findAddresses(hostname, lookup), policy);
    switch (resolution.kind) {
      case 'allowed':
        return resolution.addresses.slice(0, MAX_TRIED_ADDRESSES);
      case 'refused':
        throw new DestinationRefusedError(resolution.address, resolution.reason);
      case 'unresolved':
        throw new NameNotResolvedError(hostname, 'ENOTFOUND');
    }
  };
}

/**
 * Makes the `lookup` of `net.connect` and `tls.connect`: what is connected to is what was judged
 * here, whatever the name resolves to later. One refused address among several refuses the name.
 *
 * Node looks nothing up for a host that is an IP address: whoever connects has to `check` it.
 */
export function createGuardedLookup(policy: AddressPolicy, lookup: Lookup): LookupFunction {
  const findChecked = callbackify(createCheckedLookup(policy, lookup));
  return (hostname, options, callback) =>
    findChecked(hostname, (error, checked) => {
      const addresses = error ? [] : ofFamily(checked, options.family);
      const [first] = addresses;
      if (error) {
        callback(error, '');
      } else if (first === undefined) {
        callback(new NameNotResolvedError(hostname, 'ENODATA'), '');
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
