import { BlockList, isIP, isIPv6 } from 'node:net';
import { ConfigurationError } from './errors.ts';

/** Where a server listens, or a client calls. */
export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** `host:port`, with brackets around an IPv6 address. */
  readonly text: string;
}

/** The copies of a gRPC service. */
export interface AddressList {
  /** Where the owner of the service listens. */
  readonly listen: Address;
  /** What its clients dial: one address, or several separated by commas. */
  readonly target: string;
  /** Each of these; a name that stands for several copies once. */
  readonly all: readonly Address[];
}

const HIGHEST_PORT = 65_535;
const DNS_SCHEME = 'dns:///';
const HOST_NAME = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$/;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * Reads `host:port`: a name, an IPv4 address, or an IPv6 address in brackets, such as `[::1]:50051`.
 *
 * @returns undefined when the text is none of these.
 */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:[\]]+)):(?<port>\d{1,5})$/.exec(text);
  const host = match?.groups?.['v6'] ?? match?.groups?.['name'];
  const port = Number(match?.groups?.['port']);
  if (host === undefined || port > HIGHEST_PORT) {
    return undefined;
  }
  const valid =
    match?.groups?.['v6'] === undefined ? isIP(host) === 4 || isName(host) : isIPv6(host);
  return valid ? { host, port, text: formatAddress(host, port) } : undefined;
}

/**
 * Reads a comma list of `host:port` and `dns:///name:port`.
 *
 * @returns the list, whose first plain `host:port` (or else its first name) is where the owner
 * listens; undefined when an entry is none of these.
 */
export function parseAddressList(text: string): AddressList | undefined {
  const entries = text.split(',').map((entry) => entry.trim());
  const addresses = entries.map((entry) =>
    parseAddress(entry.startsWith(DNS_SCHEME) ? entry.slice(DNS_SCHEME.length) : entry),
  );
  const all = addresses.filter((address) => address !== undefined);
  if (all.length < addresses.length) {
    return undefined;
  }
  const own = entries.findIndex((entry) => !entry.startsWith(DNS_SCHEME));
  const listen = addresses[Math.max(own, 0)];
  return listen === undefined ? undefined : { listen, target: entries.join(','), all };
}

/** Whether only this machine can reach the address. */
export function isLoopback(address: Address): boolean {
  const family = isIP(address.host);
  if (family === 0) {
    return address.host.toLowerCase() === 'localhost';
  }
  return loopback.check(address.host, family === 6 ? 'ipv6' : 'ipv4');
}

/**
 * Guards the place where a service listens: nothing asks a caller who it is, so an address that
 * others can reach has to be allowed by name.
 *
 * @throws ConfigurationError that names the variable which holds the address.
 */
export function assertLoopback(
  address: Address,
  options: { readonly variable: string; readonly allowAnonymous: boolean },
): void {
  if (!options.allowAnonymous && !isLoopback(address)) {
    throw new ConfigurationError(
      `${options.variable} is ${address.text}, which other machines can reach, and callers need no ` +
        'key: listen on 127.0.0.1, or set BILLHOOK_ALLOW_ANONYMOUS=true.',
    );
  }
}

function formatAddress(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A name of digits and dots alone is a mistyped IPv4 address. */
function isName(host: string): boolean {
  return HOST_NAME.test(host) && !/^[\d.]+$/.test(host);
}
