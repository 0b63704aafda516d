import { badPorts } from './bad-ports.ts';

/** Says of schemes and ports whether a delivery may use them. */
export interface OriginPolicy {
  check(origin: Origin): OriginVerdict;
}

/** A part of a URL: `https:`, and the port, which is empty when it is that of the scheme. */
export interface Origin {
  readonly protocol: string;
  readonly port: string;
}

export type OriginVerdict = { readonly kind: 'allowed' } | OriginRefusal;

export interface OriginRefusal {
  readonly kind: 'refused';
  readonly code: 'HTTPS_REQUIRED' | 'PORT_REFUSED';
  /** A clause, such as `only https is allowed`. */
  readonly reason: string;
}

/** Ports from the first to the last. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface OriginRules {
  readonly requireHttps: boolean;
  /** The ports that may be reached; undefined for all but those of other protocols. */
  readonly destinationPorts: readonly PortRange[] | undefined;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

const portsOfOtherProtocols: ReadonlySet<number> = new Set(badPorts);

/** Makes the policy. */
export function createOriginPolicy({ requireHttps, destinationPorts }: OriginRules): OriginPolicy {
  return {
    check: ({ protocol, port: text }) => {
      const port = text === '' ? (DEFAULT_PORTS[protocol] ?? 0) : Number(text);
      if (requireHttps && protocol !== 'https:') {
        return { kind: 'refused', code: 'HTTPS_REQUIRED', reason: 'only https is allowed' };
      }
      const reason = refusePort(port, destinationPorts);
      return reason === undefined
        ? { kind: 'allowed' }
        : { kind: 'refused', code: 'PORT_REFUSED', reason };
    },
  };
}

function refusePort(port: number, allowed: readonly PortRange[] | undefined): string | undefined {
  if (allowed === undefined) {
    return portsOfOtherProtocols.has(port) ? `port ${port} is that of another protocol` : undefined;
  }
  return allowed.some(({ first, last }) => port >= first && port <= last)
    ? undefined
    : `port ${port} is not among those that are allowed`;
}
