import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { GLOBAL_UNICAST_IPV6, specialIpv4Ranges, specialIpv6Ranges } from './special-ranges.ts';
import type { SpecialRange } from './special-ranges.ts';

/** Says of addresses whether a delivery may reach them. */
export interface AddressPolicy {
  /** @param address an IPv4 or IPv6 address, without brackets. */
  check(address: string): AddressVerdict;
}

export type AddressVerdict =
  | { readonly kind: 'allowed' }
  /** The reason is one or a few words, such as `loopback`. */
  | { readonly kind: 'refused'; readonly reason: string };

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number];

interface ReasonedRange {
  readonly range: Range;
  readonly reason: string;
}

/** What a local start may reach beside the public internet. */
export const LOOPBACK_RANGES: readonly string[] = ['127.0.0.0/8', '::1/128'];

const allowed: AddressVerdict = { kind: 'allowed' };

const globalUnicastIpv6 = parseRange(GLOBAL_UNICAST_IPV6);
const special = {
  ipv4: specialIpv4Ranges.map(parseReasonedRange),
  ipv6: specialIpv6Ranges.map(parseReasonedRange),
} as const;

/**
 * Makes the policy: what is not globally reachable unicast is refused, but for the ranges allowed.
 * An IPv4-mapped IPv6 address is in an allowed range when its IPv4 address is.
 *
 * @param options.allow CIDRs, IPv4 or IPv6.
 * @throws Error when one of them is none.
 */
export function createAddressPolicy(options: { readonly allow: readonly string[] }): AddressPolicy {
  const allow = options.allow.map(parseRange);
  return {
    check: (text) => {
      const address = parseAddress(text);
      if (address === undefined) {
        return { kind: 'refused', reason: 'no IP address' };
      }
      const reached = unmap(address);
      return allow.some((range) => contains(range, reached)) ? allowed : judge(address);
    },
  };
}

/**
 * Node and the WHATWG rules decide what an address is and what it stands for: ipaddr.js also takes
 * octal, hexadecimal and short IPv4 notations, and reads `::127.0.0.1` as `::ffff:127.0.0.1`.
 */
function parseAddress(text: string): Address | undefined {
  switch (isIP(text)) {
    case 4:
      return ipaddr.IPv4.parse(text);
    case 6: {
      const [withoutZone = ''] = text.split('%');
      return ipaddr.IPv6.parse(new URL(`http://[${withoutZone}]`).hostname.slice(1, -1));
    }
    default:
      return undefined;
  }
}

function judge(address: Address): AddressVerdict {
  const reason = special[address.kind()].find(({ range }) => contains(range, address))?.reason;
  if (reason !== undefined) {
    return { kind: 'refused', reason };
  }
  return address.kind() === 'ipv4' || contains(globalUnicastIpv6, address)
    ? allowed
    : { kind: 'refused', reason: 'reserved' };
}

function unmap(address: Address): Address {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()
    ? address.toIPv4Address()
    : address;
}

function contains(range: Range, address: Address): boolean {
  const [base, prefixLength] = range;
  return base.kind() === address.kind() && address.match(base, prefixLength);
}

function parseReasonedRange({ cidr, reason }: SpecialRange): ReasonedRange {
  return { range: parseRange(cidr), reason };
}

function parseRange(cidr: string): Range {
  const [base = ''] = cidr.split('/');
  if (isIP(base) === 0 || !ipaddr.isValidCIDR(cidr)) {
    throw new Error(`${cidr} is no CIDR, such as 10.0.0.0/8 or fd00::/8.`);
  }
  return ipaddr.parseCIDR(cidr);
}
