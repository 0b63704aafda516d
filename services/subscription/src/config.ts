import type { DestinationRules } from '@billhook/destinations';
import { assertLoopback, ConfigurationError, readSettings } from '@billhook/runtime';
import type { Address, ProcessConfiguration, Settings } from '@billhook/runtime';

export interface SubscriptionConfig extends DestinationRules {
  readonly address: Address;
  readonly databaseUrl: string;
  /** What the client of the dispatchers dials. */
  readonly deliveryTarget: string;
  /** Base64 of 32 bytes each; the first encrypts, all decrypt. */
  readonly secretKeys: readonly string[];
  /** The deadline of an exchange; no endpoint may have a longer one. */
  readonly deliveryTimeoutMs: number;
  readonly requestIdRetentionMs: number;
  readonly shutdownTimeoutMs: number;
}

/** Where the state is kept, and what it is encrypted with. */
export interface SubscriptionStorage {
  readonly databaseUrl: string;
  readonly secretKeys: readonly string[];
}

/**
 * What the service takes from the settings of the process it runs in.
 *
 * @throws ConfigurationError if others could reach the service although nobody has allowed that.
 */
export function subscriptionConfig(
  settings: Settings,
  storage: SubscriptionStorage,
): SubscriptionConfig {
  const { subscriptionAddr, allowAnonymous } = settings;
  assertLoopback(subscriptionAddr.listen, {
    variable: 'BILLHOOK_SUBSCRIPTION_ADDR',
    allowAnonymous,
  });
  return {
    address: subscriptionAddr.listen,
    databaseUrl: storage.databaseUrl,
    deliveryTarget: settings.deliveryAddr.target,
    secretKeys: storage.secretKeys,
    allowDestinations: settings.allowDestinations,
    deliveryTimeoutMs: settings.deliveryTimeoutMs,
    destinationPorts: settings.destinationPorts,
    requireHttps: settings.requireHttps,
    requestIdRetentionMs: settings.requestIdRetentionMs,
    shutdownTimeoutMs: settings.shutdownTimeoutMs,
  };
}

/**
 * Reads the configuration of a process that runs this service alone.
 *
 * @throws ConfigurationError that names the variable.
 */
export function readSubscriptionConfig(
  env: NodeJS.ProcessEnv,
): SubscriptionConfig & ProcessConfiguration & { readonly metricsAddress: Address | undefined } {
  const settings = readSettings(env);
  const { databaseUrl, secretKeys } = settings;
  if (databaseUrl === undefined) {
    throw new ConfigurationError(
      'BILLHOOK_DATABASE_URL is required when the subscription service runs alone: ' +
        'set it to the Postgres that holds its events.',
    );
  }
  if (secretKeys.length === 0) {
    throw new ConfigurationError(
      'BILLHOOK_SECRET_KEY is required when the subscription service runs alone: ' +
        'set it to the base64 of 32 random bytes.',
    );
  }
  const config = subscriptionConfig(settings, { databaseUrl, secretKeys });
  return { ...config, logLevel: settings.logLevel, metricsAddress: settings.metricsAddr };
}
