import { createDnsLookup } from './dns-lookup.ts';
import { createHostsFile } from './hosts-file.ts';
import { NameNotResolvedError } from './lookup.ts';
import type { Lookup, LookupAddress } from './lookup.ts';

export interface NameLookupOptions {
  /** DNS servers, each `address:port`; those of the operating system unless given. */
  readonly servers?: readonly string[];
  /** `/etc/hosts` unless given. */
  readonly hostsFile?: string;
}

/** A lookup that says how many names it is asking for. */
export type NameLookup = Lookup & {
  /** Names that DNS is being asked for, `MAX_NAME_LOOKUPS` at most. Any number may wait for each. */
  readonly underWay: () => number;
};

/** Names that are being asked for at a time; who gave up waiting leaves his behind for seconds. */
export const MAX_NAME_LOOKUPS = 4_096;

const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/**
 * Makes the lookup of receivers' names: the hosts file, then DNS. Nothing is added to a name, and
 * nothing kept of an answer.
 *
 * It is not that of the operating system (`getaddrinfo`), which takes a thread for each name. Node
 * has two of those for names: two whose DNS servers say nothing make every other name wait.
 */
export function createNameLookup(options: NameLookupOptions = {}): NameLookup {
  const findInHosts = createHostsFile(options.hostsFile ?? '/etc/hosts');
  const askDns = shareLookups(createDnsLookup(options.servers), MAX_NAME_LOOKUPS);
  const lookup: Lookup = async (hostname) => {
    const name = hostname.toLowerCase().replace(/\.$/, '');
    return findInHosts(name) ?? (isLocalhost(name) ? LOOPBACK : askDns(name));
  };
  return Object.assign(lookup, { underWay: askDns.underWay });
}

/** Names that mean this machine, and which DNS must not be asked for (RFC 6761, 6.3). */
function isLocalhost(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

/**
 * Has everybody who asks for a name while it is being asked for wait for the same answer, so that a
 * name takes up one lookup however many deliveries wait for it.
 */
export function shareLookups(lookup: Lookup, maxUnderWay: number): NameLookup {
  const underWay = new Map<string, ReturnType<Lookup>>();
  const ask: Lookup = async (hostname) => {
    const shared = underWay.get(hostname);
    if (shared !== undefined) return shared;
    if (underWay.size >= maxUnderWay) {
      throw new NameNotResolvedError(hostname, 'TOO_MANY_LOOKUPS');
    }
    const own = lookup(hostname).finally(() => underWay.delete(hostname));
    underWay.set(hostname, own);
    return own;
  };
  return Object.assign(ask, { underWay: () => underWay.size });
}
