import { Socket } from 'node:net';
import { callbackify } from 'node:util';
import { Client } from 'undici';
import type { Lookup, LookupAddress } from '@billhook/destinations';
import type { buildConnector } from 'undici';
import type { Connect } from './connector.ts';

/** The proxy did not open a tunnel, or could not be reached. */
class EgressProxyError extends Error {
  /** `PROXY_STATUS_` with what it answered, or `PROXY_` with the code of what went wrong. */
  readonly code: string;

  constructor(reason: string, options?: ErrorOptions) {
    super(`The egress proxy opened no tunnel: ${reason}`, options);
    this.name = 'EgressProxyError';
    this.code = `PROXY_${reason}`;
  }
}

export interface TunnelDependencies {
  /** Finds the addresses that a connection may go to. */
  readonly findAddresses: Lookup;
  /** Makes a connection over TLS of the socket that it is given. */
  readonly secure: buildConnector.connector;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * Makes the way through an HTTP proxy: a name is looked up and its addresses checked here, as for a
 * direct connection, and the proxy is asked by CONNECT for a tunnel to a checked address, so that
 * there is no second lookup. TLS goes through the tunnel, to the name of the receiver.
 *
 * @param proxyUrl `http://`, perhaps a user name and password, a host and a port.
 */
export function createTunnelConnector(proxyUrl: string, deps: TunnelDependencies): Connect {
  const proxy = readProxy(proxyUrl);

  const open = callbackify(async (options: buildConnector.Options, signal: AbortSignal) => {
    const port = options.port || DEFAULT_PORTS[options.protocol];
    let failure: unknown;
    // One at a time: the proxy, unlike Node, does not try the next one by itself. Once the signal has
    // come, none is tried any more.
    for (const address of await deps.findAddresses(options.hostname)) {
      try {
        return await openTunnel(proxy, `${bracketed(address)}:${port}`, signal);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  });

  return (options, callback) => {
    const givenUp = new AbortController();
    let socket: Socket | undefined;
    const use = (tunnel: Socket): void => {
      socket = tunnel;
      if (options.protocol === 'https:') {
        const secured: unknown = deps.secure({ ...options, httpSocket: tunnel }, callback);
        if (secured instanceof Socket) socket = secured;
      } else {
        callback(null, tunnel);
      }
    };
    open(options, givenUp.signal, (error, tunnel) => {
      if (error !== null) callback(error, null);
      else if (givenUp.signal.aborted) tunnel.destroy();
      else use(tunnel);
    });
    return {
      get bytesRead() {
        return socket?.bytesRead ?? 0;
      },
      get writableLength() {
        return socket?.writableLength ?? 0;
      },
      destroy() {
        givenUp.abort();
        socket?.destroy();
      },
    };
  };
}

interface Proxy {
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
}

function readProxy(proxyUrl: string): Proxy {
  const { origin, username, password } = new URL(proxyUrl);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  return { origin, headers: username === '' ? {} : { 'proxy-authorization': authorization } };
}

async function openTunnel(proxy: Proxy, target: string, signal: AbortSignal): Promise<Socket> {
  // Only for this one request: the tunnel then takes its socket away from it.
  const client = new Client(proxy.origin, {
    connect: { timeout: 0 },
    // The deadline of the exchange covers this as well.
    headersTimeout: 0,
  });
  try {
    const headers = { ...proxy.headers, host: target };
    const { socket, statusCode } = await client.connect({ path: target, headers, signal });
    if (socket instanceof Socket && statusCode >= 200 && statusCode < 300) return socket;
    socket.destroy();
    throw new EgressProxyError(`STATUS_${statusCode}`);
  } catch (error) {
    throw error instanceof EgressProxyError ? error : toProxyError(error);
  } finally {
    client.destroy(null, ignore);
  }
}

function toProxyError(cause: unknown): EgressProxyError {
  const code: unknown = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return new EgressProxyError(typeof code === 'string' ? code : 'FAILED', { cause });
}

function bracketed({ address, family }: LookupAddress): string {
  return family === 6 ? `[${address}]` : address;
}

function ignore(): void {}
