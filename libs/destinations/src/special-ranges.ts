/** A range of addresses that no delivery may reach, and the word for why. */
export interface SpecialRange {
  readonly cidr: string;
  readonly reason: string;
}

/**
 * Every entry of the IANA IPv4 Special-Purpose Address Registry
 * (https://www.iana.org/assignments/iana-ipv4-special-registry), with multicast, and with the one
 * metadata address that a cloud serves on a public number. Entries that the registry calls globally
 * reachable (AS112, AMT, anycast of PCP and TURN) are infrastructure: no webhook lives there.
 */
export const specialIpv4Ranges: readonly SpecialRange[] = [
  { cidr: '0.0.0.0/8', reason: 'unspecified' },
  { cidr: '10.0.0.0/8', reason: 'private' },
  { cidr: '100.64.0.0/10', reason: 'shared by carrier-grade NAT' },
  { cidr: '127.0.0.0/8', reason: 'loopback' },
  { cidr: '168.63.129.16/32', reason: 'cloud metadata' },
  { cidr: '169.254.0.0/16', reason: 'link-local' },
  { cidr: '172.16.0.0/12', reason: 'private' },
  { cidr: '192.0.0.0/24', reason: 'reserved for protocols' },
  { cidr: '192.0.2.0/24', reason: 'documentation' },
  { cidr: '192.31.196.0/24', reason: 'AS112' },
  { cidr: '192.52.193.0/24', reason: 'AMT' },
  { cidr: '192.88.99.0/24', reason: '6to4 relay' },
  { cidr: '192.168.0.0/16', reason: 'private' },
  { cidr: '192.175.48.0/24', reason: 'AS112' },
  { cidr: '198.18.0.0/15', reason: 'benchmarking' },
  { cidr: '198.51.100.0/24', reason: 'documentation' },
  { cidr: '203.0.113.0/24', reason: 'documentation' },
  { cidr: '224.0.0.0/4', reason: 'multicast' },
  { cidr: '255.255.255.255/32', reason: 'broadcast' },
  { cidr: '240.0.0.0/4', reason: 'reserved' },
];

/** The only IPv6 addresses that IANA gives out as global unicast (RFC 3513, RFC 4291). */
export const GLOBAL_UNICAST_IPV6 = '2000::/3';

/** Behind this, a network without IPv4 reaches all IPv4 addresses (RFC 6052). */
export const WELL_KNOWN_NAT64 = '64:ff9b::/96';
/** For prefixes that operators choose to the same end, of any length (RFC 8215). */
export const LOCAL_NAT64 = '64:ff9b:1::/48';

/**
 * The IANA IPv6 Special-Purpose Address Registry
 * (https://www.iana.org/assignments/iana-ipv6-special-registry) and what was special once. Forms
 * that carry an IPv4 address inside are refused as a whole: who reaches a public IPv4 address has no
 * need of them. What lies outside global unicast and has no line here is refused as well.
 *
 * ISATAP is missing because it has no range: its addresses are told by their second half.
 */
export const specialIpv6Ranges: readonly SpecialRange[] = [
  { cidr: '::/128', reason: 'unspecified' },
  { cidr: '::1/128', reason: 'loopback' },
  { cidr: '::/96', reason: 'IPv4-compatible' },
  { cidr: '::ffff:0:0/96', reason: 'IPv4-mapped' },
  { cidr: '::ffff:0:0:0/96', reason: 'IPv4-translated' },
  { cidr: WELL_KNOWN_NAT64, reason: 'NAT64' },
  { cidr: LOCAL_NAT64, reason: 'NAT64' },
  { cidr: '100::/64', reason: 'discard' },
  { cidr: '100:0:0:1::/64', reason: 'dummy' },
  { cidr: '2001::/32', reason: 'Teredo' },
  { cidr: '2001:2::/48', reason: 'benchmarking' },
  { cidr: '2001::/23', reason: 'reserved for protocols' },
  { cidr: '2001:db8::/32', reason: 'documentation' },
  { cidr: '2002::/16', reason: '6to4' },
  { cidr: '2620:4f:8000::/48', reason: 'AS112' },
  { cidr: '3ffe::/16', reason: 'reserved' },
  { cidr: '3fff::/20', reason: 'documentation' },
  { cidr: '5f00::/16', reason: 'segment routing' },
  { cidr: 'fc00::/7', reason: 'unique local' },
  { cidr: 'fe80::/10', reason: 'link-local' },
  { cidr: 'fec0::/10', reason: 'site-local' },
  { cidr: 'ff00::/8', reason: 'multicast' },
];
