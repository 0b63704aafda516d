import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import {
  GLOBAL_UNICAST_IPV6,
  LOCAL_NAT64,
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
const nat64 = [WELL_KNOWN_NAT64, LOCAL_NAT64].map(parseRange);
/** The bytes that hold the IPv4 address behind a NAT64 prefix of so many bits (RFC 6052, 2.2). */
const nat64Forms = [
  { prefixLength: 48, places: [6, 7, 9, 10] },
  { prefixLength: 56, places: [7, 9, 10, 11] },
  { prefixLength: 64, places: [9, 10, 11, 12] },
  { prefixLength: 96, places: [12, 13, 14, 15] },
] as const;
const special = {
  ipv4: specialIpv4Ranges.map(parseReasonedRange),
  ipv6: specialIpv6Ranges.map(parseReasonedRange),
} as const;

/**
 * Makes the policy: what is not globally reachable unicast is refused, but for the ranges allowed.
 * An IPv4-mapped IPv6 address is in an allowed range when its IPv4 address is; a NAT64 address in an
 * allowed range is allowed only if each IPv4 address that it may stand for is, too.
 *
 * @param options.allow CIDRs, IPv4 or IPv6.
 * @throws Error when one of them is none.
 */
export function createAddressPolicy(options: { readonly allow: readonly string[] }): AddressPolicy {
  const allow = options.allow.map(parseRange);

  function verdictOf(address: Address): AddressVerdict {
    const reached = unmap(address);
    const opened = allow.filter((range) => contains(range, reached));
    if (opened.length === 0) return judge(address);
    return isNat64(reached) && !mayBeTranslated(reached, opened) ? judge(address) : allowed;
  }

  function mayBeTranslated(address: Address, opened: readonly Range[]): boolean {
    const ipv4 = embeddedIpv4(address, Math.max(...opened.map(([, length]) => length)));
    return ipv4.length > 0 && ipv4.every((each) => verdictOf(each).kind === 'allowed');
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

function isNat64(address: Address): boolean {
  return nat64.some((range) => contains(range, address));
}

/**
 * The IPv4 addresses that a NAT64 may make of an address. Where its own prefix ends nobody says: it is no
 * shorter than the range that was opened for it, and a NAT64 ignores the bits that its form has no use
 * for. Addresses that begin with 0 exist nowhere.
 */
function embeddedIpv4(address: Address, openedLength: number): ipaddr.IPv4[] {
  const bytes = address.toByteArray();
  return nat64Forms
    .filter(({ prefixLength }) => prefixLength >= Math.min(openedLength, 96))
    .map(({ places }) => new ipaddr.IPv4(places.map((place) => bytes[place] ?? 0)))
    .filter(({ octets: [first] }) => first !== 0);
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
