import { NODATA } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { NameNotResolvedError } from './lookup.ts';
import type { Lookup, LookupAddress } from './lookup.ts';

/** A server that says nothing is given up after all tries, 4 to 7 seconds; others come after it. */
const QUERY = { timeout: 2_000, maxTimeout: 3_000, tries: 3 } as const;

/** A resolver reads the configuration of the operating system once, when it is made. */
const RESOLVER_LIFETIME_MS = 10_000;

type Addresses = PromiseSettledResult<readonly string[]>;

/**
 * Makes a lookup that asks DNS for A and AAAA records, by the library c-ares: a name whose servers
 * say nothing takes a little memory and no thread, so that it makes no other name wait.
 *
 * @param servers each `address:port`; those of the operating system (`/etc/resolv.conf`) unless given.
 */
export function createDnsLookup(servers?: readonly string[]): Lookup {
  let resolver: Resolver | undefined;
  let madeAtMs = 0;

  function freshResolver(): Resolver {
    const nowMs = performance.now();
    if (resolver === undefined || nowMs - madeAtMs > RESOLVER_LIFETIME_MS) {
      resolver = new Resolver(QUERY);
      if (servers !== undefined) resolver.setServers(servers);
      madeAtMs = nowMs;
    }
    return resolver;
  }

  return async (hostname) => {
    const current = freshResolver();
    const [v4, v6] = await Promise.allSettled([
      current.resolve4(hostname),
      current.resolve6(hostname),
    ]);
    const found = [...addressesOf(v4, 4), ...addressesOf(v6, 6)];
    if (found.length === 0) throw notResolved(hostname, v4, v6);
    return found;
  };
}

function addressesOf(answer: Addresses, family: 4 | 6): readonly LookupAddress[] {
  return answer.status === 'fulfilled' ? answer.value.map((address) => ({ address, family })) : [];
}

/** A name that exists and has no address of one family may still have failed for the other. */
function notResolved(hostname: string, ...answers: readonly Addresses[]): NameNotResolvedError {
  const codes = answers.map((answer) => (answer.status === 'rejected' ? codeOf(answer) : NODATA));
  const code = codes.find((each) => each !== NODATA) ?? NODATA;
  return new NameNotResolvedError(hostname, code);
}

function codeOf({ reason }: PromiseRejectedResult): string {
  const code: unknown = reason instanceof Error && 'code' in reason ? reason.code : undefined;
  return typeof code === 'string' ? code : 'UNKNOWN';
}
