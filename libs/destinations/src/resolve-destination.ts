import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AddressPolicy } from './address-policy.ts';
import type { Lookup, LookupAddress } from './lookup.ts';

export type Resolution =
  /** Every address of the name may be reached. */
  | { readonly kind: 'allowed'; readonly addresses: readonly LookupAddress[] }
  /** At least one address may not be reached. */
  | { readonly kind: 'refused'; readonly address: string; readonly reason: string }
  /** Nobody knows the name, or nobody answered in time. */
  | { readonly kind: 'unresolved'; readonly cause: unknown };

export interface ResolveOptions {
  readonly timeoutMs: number;
  readonly lookup: Lookup;
}

/**
 * Finds the addresses of a host, and judges every one of them: a connection may take any.
 *
 * @param hostname a name or an IP address, without brackets.
 */
export async function resolveDestination(
  hostname: string,
  policy: AddressPolicy,
  options: ResolveOptions,
): Promise<Resolution> {
  const { timeoutMs, lookup } = options;
  try {
    const addresses = await withTimeout(findAddresses(hostname, lookup), timeoutMs);
    return judgeAddresses(addresses, policy);
  } catch (cause) {
    return { kind: 'unresolved', cause };
  }
}

/** Finds the addresses of a host: of a number it is the number itself. */
export async function findAddresses(
  hostname: string,
  lookup: Lookup,
): Promise<readonly LookupAddress[]> {
  const family = isIP(hostname);
  return family === 0 ? lookup(hostname) : [{ address: hostname, family }];
}

/** @returns refused when one of them is, unresolved when there is none. */
export function judgeAddresses(
  addresses: readonly LookupAddress[],
  policy: AddressPolicy,
): Resolution {
  for (const { address } of addresses) {
    const verdict = policy.check(address);
    if (verdict.kind === 'refused') {
      return { kind: 'refused', address, reason: verdict.reason };
    }
  }
  return addresses.length === 0
    ? { kind: 'unresolved', cause: new Error('The name has no address') }
    : { kind: 'allowed', addresses };
}

/** A lookup is not called off, because others may wait for it: this one waits no longer. */
async function withTimeout<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value> {
  const answered = new AbortController();
  const timeout = sleep(timeoutMs, undefined, { signal: answered.signal }).then(() => {
    throw new Error(`The name was not resolved within ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    answered.abort();
    // Whichever came second is of no interest any more, but must not count as uncaught.
    timeout.catch(() => undefined);
    promise.catch(() => undefined);
  }
}
