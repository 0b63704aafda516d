import { readFileSync } from 'node:fs';

import type { DestinationRules } from '@billhook/destinations';
import {
  assertLoopback,
  ConfigurationError,
  readSettings,
  type Address,
  type ProcessConfiguration,
  type Settings,
} from '@billhook/runtime';

import { DEFAULT_LIMITS, type EngineLimits } from './engine/limits.ts';

export interface DispatcherConfig extends DestinationRules {
  readonly address: Address;
  readonly databaseUrl: string;
  /** What the client of the subscription service dials. */
  readonly subscriptionTarget: string;
  readonly lanes: number;
  /** Where events are read from; undefined when they are read from the store. */
  readonly kafka: KafkaConfig | undefined;
  readonly retryScheduleMs: readonly number[];
  readonly deliveryTimeoutMs: number;
  readonly retentionMs: number;
  /** An endpoint that did nothing but fail for so long is disabled. */
  readonly failingForMs: number;
  readonly limits: EngineLimits;
  readonly secretKeys: readonly string[];
  /** The URL of an HTTP proxy that deliveries go through; undefined when they go out directly. */
  readonly egressProxy: string | undefined;
  /** `sole` when no other dispatcher can be alive, as in a standalone process. */
  readonly ownership: 'shared' | 'sole';
  readonly shutdownTimeoutMs: number;
  readonly version: string;
}

export interface KafkaConfig {
  /** Each `host:port`. */
  readonly brokers: readonly string[];
  readonly topic: string;
}

/** What a process that composes the dispatcher decides itself. */
export interface DispatcherPlace {
  readonly databaseUrl: string;
  readonly secretKeys: readonly string[];
  readonly ownership: 'shared' | 'sole';
}

/**
 * What the dispatcher takes from the settings of the process it runs in.
 *
 * @throws ConfigurationError if others could reach it although nobody has allowed that.
 */
export function dispatcherConfig(settings: Settings, place: DispatcherPlace): DispatcherConfig {
  assertLoopback(settings.deliveryAddr.listen, {
    variable: 'BILLHOOK_DELIVERY_ADDR',
    allowAnonymous: settings.allowAnonymous,
  });
  return {
    ...place,
    address: settings.deliveryAddr.listen,
    subscriptionTarget: settings.subscriptionAddr.target,
    lanes: settings.lanes,
    kafka:
      settings.kafkaBrokers === undefined
        ? undefined
        : { brokers: settings.kafkaBrokers, topic: settings.kafkaTopic },
    retryScheduleMs: settings.retryScheduleMs,
    deliveryTimeoutMs: settings.deliveryTimeoutMs,
    retentionMs: settings.retentionMs,
    failingForMs: settings.disableAfterMs,
    limits: engineLimits(settings),
    allowDestinations: settings.allowDestinations,
    destinationPorts: settings.destinationPorts,
    requireHttps: settings.requireHttps,
    egressProxy: settings.egressProxy,
    shutdownTimeoutMs: settings.shutdownTimeoutMs,
    version: readVersion(),
  };
}

/** So many times as many rows may an endpoint have that works, while none of them is due. */
const RESTING_ROWS_FACTOR =
  DEFAULT_LIMITS.maxRestingRowsPerEndpointLane / DEFAULT_LIMITS.maxRowsPerEndpointLane;

function engineLimits(settings: Settings): EngineLimits {
  const { maxInFlight, maxInFlightPerEndpoint, maxInFlightPerOrigin } = settings;
  const { circuitFailures: failures, circuitLongestWaitMs: longestWaitMs } = settings;
  const { rateLimitPerEndpoint: rateLimitPerSecond, maxRowsPerEndpoint } = settings;
  const firstWaitMs = Math.min(DEFAULT_LIMITS.circuit.firstWaitMs, longestWaitMs);
  return {
    ...DEFAULT_LIMITS,
    maxInFlight,
    maxInFlightPerEndpoint,
    maxInFlightPerOrigin,
    rateLimitPerSecond,
    maxRowsPerEndpointLane: maxRowsPerEndpoint,
    maxRestingRowsPerEndpointLane: RESTING_ROWS_FACTOR * maxRowsPerEndpoint,
    circuit: { failures, firstWaitMs, longestWaitMs },
  };
}

/**
 * Reads the configuration of a process that runs the dispatcher alone.
 *
 * @throws ConfigurationError that names the variable.
 */
export function readDispatcherConfig(
  env: NodeJS.ProcessEnv,
): DispatcherConfig & ProcessConfiguration & { readonly metricsAddress: Address | undefined } {
  const settings = readSettings(env);
  const { databaseUrl, secretKeys, logLevel } = settings;
  if (databaseUrl === undefined) {
    throw new ConfigurationError(
      'BILLHOOK_DATABASE_URL is required when the dispatcher runs alone: ' +
        'set it to the Postgres that holds the events.',
    );
  }
  if (secretKeys.length === 0) {
    throw new ConfigurationError(
      'BILLHOOK_SECRET_KEY is required when the dispatcher runs alone: ' +
        'set it to the key of the subscription service.',
    );
  }
  return {
    ...dispatcherConfig(settings, { databaseUrl, secretKeys, ownership: 'shared' }),
    logLevel,
    metricsAddress: settings.metricsAddr,
  };
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  );
  const isVersioned = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isVersioned ? String(manifest.version) : 'unknown';
}
