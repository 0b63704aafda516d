import { assertLoopback, ConfigurationError, readSettings } from '@billhook/runtime';
import type { Address, ProcessConfiguration, Settings } from '@billhook/runtime';

export interface InvoiceConfig {
  readonly address: Address;
  readonly databaseUrl: string;
  readonly lanes: number;
  readonly requestIdRetentionMs: number;
  readonly shutdownTimeoutMs: number;
  /** Where events are relayed to; undefined when nothing is relayed. */
  readonly kafka: KafkaConfig | undefined;
}

export interface KafkaConfig {
  /** Each `host:port`. */
  readonly brokers: readonly string[];
  readonly topic: string;
}

/**
 * What the service takes from the settings of the process it runs in.
 *
 * @throws ConfigurationError if others could reach the service although nobody has allowed that.
 */
export function invoiceConfig(settings: Settings, databaseUrl: string): InvoiceConfig {
  const { allowAnonymous } = settings;
  assertLoopback(settings.invoiceAddr.listen, {
    variable: 'BILLHOOK_INVOICE_ADDR',
    allowAnonymous,
  });
  return {
    address: settings.invoiceAddr.listen,
    databaseUrl,
    lanes: settings.lanes,
    requestIdRetentionMs: settings.requestIdRetentionMs,
    shutdownTimeoutMs: settings.shutdownTimeoutMs,
    kafka:
      settings.kafkaBrokers === undefined
        ? undefined
        : { brokers: settings.kafkaBrokers, topic: settings.kafkaTopic },
  };
}

/**
 * Reads the configuration of a process that runs this service alone.
 *
 * @throws ConfigurationError that names the variable.
 */
export function readInvoiceConfig(
  env: NodeJS.ProcessEnv,
): InvoiceConfig & ProcessConfiguration & { readonly metricsAddress: Address | undefined } {
  const settings = readSettings(env);
  if (settings.databaseUrl === undefined) {
    throw new ConfigurationError(
      'BILLHOOK_DATABASE_URL is required when the invoice service runs alone: ' +
        'set it to the Postgres that holds its events.',
    );
  }
  return {
    ...invoiceConfig(settings, settings.databaseUrl),
    logLevel: settings.logLevel,
    metricsAddress: settings.metricsAddr,
  };
}
