import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import {
  GLOBAL_UNICAST_IPV6,
  specialIpv4Ranges,
  specialIpv6Ranges,
  WELL_KNOWN_NAT64,
} from './special-ranges.ts';
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
const nat64 = parseRange(WELL_KNOWN_NAT64);
const special = {
  ipv4: specialIpv4Ranges.map(parseReasonedRange),
  ipv6: specialIpv6Ranges.map(parseReasonedRange),
} as const;

/**
 * Makes the policy: what is not globally reachable unicast is refused, but for the ranges allowed.
 * An IPv4-mapped IPv6 address is in an allowed range when its IPv4 address is; a NAT64 address in an
 * allowed range is allowed only if the IPv4 address that it stands for is, too.
 *
 * @param options.allow CIDRs, IPv4 or IPv6.
 * @throws Error when one of them is none.
 */
export function createAddressPolicy(options: { readonly allow: readonly string[] }): AddressPolicy {
  const allow = options.allow.map(parseRange);

  function verdictOf(address: Address): AddressVerdict {
    const reached = unmap(address);
    if (!allow.some((range) => contains(range, reached))) return judge(address);
    return contains(nat64, reached) && verdictOf(lastIpv4(reached)).kind === 'refused'
      ? judge(address)
      : allowed;
  }

  return {
    check: (text) => {
      const address = parseAddress(text);
      return address === undefined ? refused('no IP address') : verdictOf(address);
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
      const [plain = '', zone] = text.split('%');
      const address = ipaddr.IPv6.parse(new URL(`http://[${plain}]`).hostname.slice(1, -1));
      if (zone !== undefined) address.zoneId = zone;
      return address;
    }
    default:
      return undefined;
  }
}

function judge(address: Address): AddressVerdict {
  const reason = special[address.kind()].find(({ range }) => contains(range, address))?.reason;
  if (reason !== undefined) return refused(reason);
  if (!(address instanceof ipaddr.IPv6)) return allowed;
  if (!contains(globalUnicastIpv6, address)) return refused('reserved');
  if (isIsatap(address)) return refused('ISATAP');
  // It names an interface of this machine, which no public address needs.
  return address.zoneId === undefined ? allowed : refused('zone');
}

function refused(reason: string): AddressVerdict {
  return { kind: 'refused', reason };
}

/** Whether the second half is one that ISATAP makes of an IPv4 address (RFC 5214, 6.1). */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  const [, , , , flags, marker] = parts;
  return (flags === 0 || flags === 0x200) && marker === 0x5efe;
}

function unmap(address: Address): Address {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()
    ? address.toIPv4Address()
    : address;
}

/** The IPv4 address in the last four bytes, where NAT64 with a prefix of 96 bits has it (RFC 6052). */
function lastIpv4(address: Address): ipaddr.IPv4 {
  return new ipaddr.IPv4(address.toByteArray().slice(-4));
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
