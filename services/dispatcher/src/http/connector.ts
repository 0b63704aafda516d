import {
  createCheckedLookup,
  createGuardedLookup,
  createNameLookup,
  DestinationRefusedError,
} from '@billhook/destinations';
import { isIP, Socket } from 'node:net';
import { buildConnector } from 'undici';
import { createTunnelConnector } from './tunnel.ts';
import type { DestinationPolicy, Lookup } from '@billhook/destinations';

/** Where connections may go, and how names are looked up: by a lookup of its own unless given. */
export interface Destinations {
  readonly policy: DestinationPolicy;
  readonly lookup?: Lookup | undefined;
  /** The URL of an HTTP proxy that all connections go through; none unless given. */
  readonly egressProxy?: string | undefined;
}

/**
 * Begins to connect.
 *
 * @returns what is connected or on its way to it, so that whoever gives up can end it.
 */
export type Connect = (
  options: buildConnector.Options,
  callback: buildConnector.Callback,
) => Transport | undefined;

/** A socket, also one that does not exist yet. */
export type Transport = Pick<Socket, 'bytesRead' | 'writableLength'> & { destroy(): unknown };

/**
 * How long an address is tried before the next one of the name is, if there is one: Node then gives the
 * first one up for good. Its own 500 ms are too short for the other end of the world. The eight
 * addresses that a name may have fit into the deadline.
 */
const ATTEMPT_TIMEOUT_MS = 2_000;

/**
 * All sockets read into one buffer, and keep a copy of what came. By itself Node takes 64 KB outside of
 * the heap for each read: for a small answer that costs more than reading it, and large ones, read from
 * one endpoint, bring full collections upon all.
 */
const readIntoOne = {
  buffer: Buffer.alloc(16 * 1_024),
  callback(this: Socket, length: number, buffer: Uint8Array): boolean {
    return this.push(Buffer.from(buffer.subarray(0, length)));
  },
};

/**
 * Makes the one way to a receiver. The address is checked here and nowhere later: scheme and port
 * first; then a name is looked up once, every address it has is checked, and the connection goes to
 * one of these; a numeric host is checked by itself, because Node looks no number up. TLS verifies
 * the receiver's name. A proxy named in the environment (`HTTP_PROXY` and the like) is not used.
 *
 * @param maxSessions TLS sessions that are remembered, to make the next handshake short.
 */
export function createConnector(destinations: Destinations, maxSessions: number): Connect {
  const { policy, lookup = createNameLookup(), egressProxy } = destinations;
  const open = buildConnector({
    allowH2: false,
    lookup: createGuardedLookup(policy.addresses, lookup),
    maxCachedSessions: maxSessions,
    rejectUnauthorized: true,
    autoSelectFamilyAttemptTimeout: ATTEMPT_TIMEOUT_MS,
    onread: readIntoOne,
    // The deadline of the exchange covers connecting as well.
    timeout: 0,
  });
  const findAddresses = createCheckedLookup(policy.addresses, lookup);
  const connect =
    egressProxy === undefined
      ? directly(open)
      : createTunnelConnector(egressProxy, { findAddresses, secure: open });
  return (options, callback) => {
    const refusal = refuse(options, policy);
    if (refusal !== undefined) {
      queueMicrotask(() => callback(refusal, null));
      return undefined;
    }
    return connect(withPlainServername(options), callback);
  };
}

function directly(open: buildConnector.connector): Connect {
  return (options, callback) => {
    const socket: unknown = open(options, callback);
    return socket instanceof Socket ? socket : undefined;
  };
}

/** The name for TLS has no dot at its end (RFC 6066, 3), also if that of the URL has one. */
function withPlainServername(options: buildConnector.Options): buildConnector.Options {
  const { hostname } = options;
  return hostname.endsWith('.') ? { ...options, servername: hostname.slice(0, -1) } : options;
}

/** What can be refused before a name is looked up. */
function refuse(
  { protocol, hostname, port }: buildConnector.Options,
  policy: DestinationPolicy,
): DestinationRefusedError | undefined {
  const origin = policy.origins.check({ protocol, port });
  if (origin.kind === 'refused') {
    return new DestinationRefusedError(`${protocol}//${hostname}`, origin.reason);
  }
  if (isIP(hostname) === 0) return undefined;
  const address = policy.addresses.check(hostname);
  return address.kind === 'refused'
    ? new DestinationRefusedError(hostname, address.reason)
    : undefined;
}
