import { readFileSync } from 'node:fs';
import { assertLoopback, readSettings } from '@billhook/runtime';
import type { Address, Settings } from '@billhook/runtime';

export interface GatewayConfig {
  readonly httpAddr: Address;
  /** What the gRPC clients dial. */
  readonly subscriptionTarget: string;
  readonly deliveryTarget: string;
  /**
   * Whether requests may be for any host: something in front of Billhook decides who may call. Else it
   * listens on loopback, and is called by names of this machine.
   */
  readonly anyHost: boolean;
  /** The deadline of one exchange with a receiver: a ping takes as long. */
  readonly deliveryTimeoutMs: number;
  /** How long a stop may take. */
  readonly shutdownTimeoutMs: number;
  readonly logLevel: string;
  readonly version: string;
}

/**
 * Reads the environment of a process that runs the gateway alone.
 *
 * @throws ConfigurationError
 */
export function readGatewayConfig(
  env: NodeJS.ProcessEnv,
): GatewayConfig & { readonly metricsAddress: Address | undefined } {
  const settings = readSettings(env);
  return { ...gatewayConfig(settings), metricsAddress: settings.metricsAddr };
}

/**
 * Picks what the gateway needs.
 *
 * @throws ConfigurationError when it would listen where others can reach it, and may not.
 */
export function gatewayConfig(settings: Settings): GatewayConfig {
  assertLoopback(settings.httpAddr, {
    variable: 'BILLHOOK_HTTP_ADDR',
    allowAnonymous: settings.allowAnonymous,
  });
  return {
    httpAddr: settings.httpAddr,
    subscriptionTarget: settings.subscriptionAddr.target,
    deliveryTarget: settings.deliveryAddr.target,
    anyHost: settings.allowAnonymous,
    deliveryTimeoutMs: settings.deliveryTimeoutMs,
    shutdownTimeoutMs: settings.shutdownTimeoutMs,
    logLevel: settings.logLevel,
    version: readVersion(),
  };
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  );
  const isVersioned = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isVersioned ? String(manifest.version) : 'unknown';
}
