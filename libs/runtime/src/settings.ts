import { assertLoopback, isLoopback } from './addresses.ts';
import type { Address, AddressList } from './addresses.ts';
import { ConfigurationError } from './errors.ts';
import {
  address,
  addressList,
  brokers,
  databaseUrl,
  decimal,
  destinations,
  duration,
  integer,
  oneOf,
  path,
  ports,
  proxyUrl,
  schedule,
  secretKeys,
  switchedOn,
  topic,
} from './setting-kinds.ts';
import type { PortRange, SettingKind } from './setting-kinds.ts';

/** One variable: what the documentation says of it, and how it is read. */
interface Setting<Value> extends SettingDescription {
  /** @throws ConfigurationError when the value is a bad one. */
  read(env: NodeJS.ProcessEnv): Value;
}

/** What the documentation says of a variable. */
export interface SettingDescription {
  readonly variable: string;
  /** The value that stands for an absent one, or in words what happens then. */
  readonly default: string;
  readonly meaning: string;
  /** What a good value looks like. */
  readonly expected: string;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const PREFIX = 'BILLHOOK_';

/** Variables of the test suite: a process that a test starts inherits them and reads none. */
const TEST_PREFIX = 'BILLHOOK_TEST_';

/** What a process has beyond a delivery's deadline to settle or park what it holds. */
const SHUTDOWN_MARGIN_MS = 10 * SECOND_MS;

const LONGEST_RETRY_SCHEDULE = 100;

const LOOPBACK_RANGES = ['127.0.0.0/8', '::1/128'];

const anyDuration = duration({ min: 1, max: 3_650 * DAY_MS });

/** Every variable, in the order in which the documentation lists them. */
const table = {
  httpAddr: required('BILLHOOK_HTTP_ADDR', address, {
    default: '127.0.0.1:8080',
    meaning: 'where the gateway listens',
  }),
  invoiceAddr: required('BILLHOOK_INVOICE_ADDR', addressList, {
    default: '127.0.0.1:50051',
    meaning: 'where the invoice service listens, and where the others call it',
  }),
  subscriptionAddr: required('BILLHOOK_SUBSCRIPTION_ADDR', addressList, {
    default: '127.0.0.1:50052',
    meaning: 'where the subscription service listens, and where the others call it',
  }),
  deliveryAddr: required('BILLHOOK_DELIVERY_ADDR', addressList, {
    default: '127.0.0.1:50053',
    meaning: 'where the dispatcher listens, and where the others call it',
  }),
  dataDir: required('BILLHOOK_DATA_DIR', path, {
    default: './.billhook',
    meaning: 'the folder of the embedded Postgres and its state',
  }),
  databaseUrl: optional('BILLHOOK_DATABASE_URL', databaseUrl, {
    default: 'none: embedded',
    meaning: 'an own Postgres',
  }),
  kafkaBrokers: optional('BILLHOOK_KAFKA_BROKERS', brokers, {
    default: 'none: the dispatcher reads the store',
    meaning: 'the Kafka that events are relayed to, and read from',
  }),
  kafkaTopic: required('BILLHOOK_KAFKA_TOPIC', topic, {
    default: 'billhook.invoice.events.v1',
    meaning: 'the topic of the events, with one partition for each lane',
  }),
  metricsAddr: optional('BILLHOOK_METRICS_ADDR', address, {
    default: 'none: no metrics are served',
    meaning: 'where a process serves `/metrics` for Prometheus, `/healthz` and `/readyz`',
  }),
  secretKeys: optional('BILLHOOK_SECRET_KEY', secretKeys, {
    default: 'generated into the data folder on a local start',
    meaning:
      'the keys that encrypt endpoint secrets: the first encrypts, all decrypt; ' +
      'required with an own Postgres',
  }),
  allowDestinations: optional('BILLHOOK_ALLOW_DESTINATIONS', destinations, {
    default: 'none; loopback when everything listens on loopback and there is no egress proxy',
    meaning: 'CIDRs that deliveries may reach although they are internal',
  }),
  destinationPorts: optional('BILLHOOK_DESTINATION_PORTS', ports, {
    default: 'all but those of other protocols, as in browsers',
    meaning: 'the only ports that deliveries may reach',
  }),
  requireHttps: required('BILLHOOK_REQUIRE_HTTPS', switchedOn, {
    default: 'false',
    meaning: 'whether addresses that begin with `http://` are refused',
  }),
  egressProxy: optional('BILLHOOK_EGRESS_PROXY', proxyUrl, {
    default: 'none: deliveries go out directly',
    meaning: 'the HTTP proxy that all deliveries go through, by `CONNECT`',
  }),
  lanes: required('BILLHOOK_LANES', integer({ min: 1, max: 1_024 }), {
    default: '16',
    meaning: 'the number of lanes, fixed when the store is created',
  }),
  retryScheduleMs: required(
    'BILLHOOK_RETRY_SCHEDULE',
    schedule({ min: 1, max: 365 * DAY_MS }, LONGEST_RETRY_SCHEDULE),
    {
      default: '5s,5m,30m,2h,5h,10h,14h,20h,24h',
      meaning: 'the waits between attempts, each with jitter',
    },
  ),
  deliveryTimeoutMs: required(
    'BILLHOOK_DELIVERY_TIMEOUT',
    duration({ min: 1, max: 10 * MINUTE_MS }),
    { default: '15s', meaning: 'the deadline of one exchange with a receiver' },
  ),
  maxInFlight: required('BILLHOOK_MAX_IN_FLIGHT', integer({ min: 1, max: 100_000 }), {
    default: '2048',
    meaning: 'how many deliveries a dispatcher has under way at a time',
  }),
  maxInFlightPerOrigin: required(
    'BILLHOOK_MAX_IN_FLIGHT_PER_ORIGIN',
    integer({ min: 1, max: 100_000 }),
    { default: '512', meaning: 'how many of them may go to one scheme, host and port' },
  ),
  maxInFlightPerEndpoint: required(
    'BILLHOOK_MAX_IN_FLIGHT_PER_ENDPOINT',
    integer({ min: 1, max: 100_000 }),
    {
      default: '64',
      meaning: 'how many of them may go to one endpoint, however well it takes them',
    },
  ),
  maxRowsPerEndpoint: required(
    'BILLHOOK_MAX_ROWS_PER_ENDPOINT',
    integer({ min: 100, max: 10_000 }),
    {
      default: '1000',
      meaning:
        'with so many deliveries to one endpoint that wait as rows in a lane, what is new for it there ' +
        'stays in the event log alone, until half of them are gone or all wait for their next attempt',
    },
  ),
  rateLimitPerEndpoint: optional(
    'BILLHOOK_RATE_LIMIT_PER_ENDPOINT',
    decimal({ min: 0.001, max: 10_000 }),
    {
      default: 'none',
      meaning:
        'deliveries per second at most, of each dispatcher process, to an endpoint that has no `rate_limit` of its own',
    },
  ),
  circuitFailures: required('BILLHOOK_CIRCUIT_FAILURES', integer({ min: 1, max: 1_000_000 }), {
    default: '10',
    meaning: 'how many failures in a row keep an endpoint from being called until it is probed',
  }),
  circuitLongestWaitMs: required('BILLHOOK_CIRCUIT_LONGEST_WAIT', anyDuration, {
    default: '60s',
    meaning: 'the longest wait between two such probes, give or take a tenth; the first one is 1s',
  }),
  disableAfterMs: required('BILLHOOK_DISABLE_AFTER', anyDuration, {
    default: '5d',
    meaning: 'how long an endpoint may do nothing but fail before it is disabled',
  }),
  retentionMs: required('BILLHOOK_RETENTION', anyDuration, {
    default: '30d',
    meaning: 'how long the delivery log and dead deliveries are kept; what waits longer is dead',
  }),
  requestIdRetentionMs: required('BILLHOOK_REQUEST_ID_RETENTION', anyDuration, {
    default: '7d',
    meaning: 'how long a repeated `request_id` gets the answer it got before',
  }),
  shutdownTimeoutMs: optional(
    'BILLHOOK_SHUTDOWN_TIMEOUT',
    duration({ min: 1, max: 20 * MINUTE_MS }),
    {
      default: 'BILLHOOK_DELIVERY_TIMEOUT + 10s',
      meaning: 'how long a stop may take before the process ends as it is',
    },
  ),
  allowAnonymous: required('BILLHOOK_ALLOW_ANONYMOUS', switchedOn, {
    default: 'false',
    meaning:
      'whether a service may listen outside loopback, and be called by any name, ' +
      'although there are no keys',
  }),
  logLevel: required(
    'BILLHOOK_LOG_LEVEL',
    oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    { default: 'info', meaning: 'what is logged: this level and those above it' },
  ),
};

/** The configuration of a process. `undefined` stands where there is no default. */
export interface Settings {
  readonly httpAddr: Address;
  readonly invoiceAddr: AddressList;
  readonly subscriptionAddr: AddressList;
  readonly deliveryAddr: AddressList;
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  readonly kafkaBrokers: readonly string[] | undefined;
  readonly kafkaTopic: string;
  readonly metricsAddr: Address | undefined;
  /** As configured, in base64; empty when there are none. */
  readonly secretKeys: readonly string[];
  /** CIDRs that may be reached although they are internal. */
  readonly allowDestinations: readonly string[];
  /** The only ports that may be reached; undefined for all but those of other protocols. */
  readonly destinationPorts: readonly PortRange[] | undefined;
  readonly requireHttps: boolean;
  readonly egressProxy: string | undefined;
  readonly lanes: number;
  readonly retryScheduleMs: readonly number[];
  readonly deliveryTimeoutMs: number;
  readonly maxInFlight: number;
  readonly maxInFlightPerOrigin: number;
  readonly maxInFlightPerEndpoint: number;
  /** In a lane. */
  readonly maxRowsPerEndpoint: number;
  /** Deliveries per second. */
  readonly rateLimitPerEndpoint: number | undefined;
  readonly circuitFailures: number;
  readonly circuitLongestWaitMs: number;
  readonly disableAfterMs: number;
  readonly retentionMs: number;
  readonly requestIdRetentionMs: number;
  readonly shutdownTimeoutMs: number;
  readonly allowAnonymous: boolean;
  readonly logLevel: string;
}

/**
 * Reads every setting. An empty variable counts as an absent one.
 *
 * @throws ConfigurationError that names the variable which is unknown or has a bad value.
 */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  refuseUnknownVariables(env);
  const deliveryTimeoutMs = table.deliveryTimeoutMs.read(env);
  const egressProxy = table.egressProxy.read(env);
  const addresses = {
    httpAddr: table.httpAddr.read(env),
    invoiceAddr: table.invoiceAddr.read(env),
    subscriptionAddr: table.subscriptionAddr.read(env),
    deliveryAddr: table.deliveryAddr.read(env),
    metricsAddr: readMetricsAddress(env),
  };
  return {
    ...addresses,
    dataDir: table.dataDir.read(env),
    databaseUrl: table.databaseUrl.read(env),
    kafkaBrokers: table.kafkaBrokers.read(env),
    kafkaTopic: table.kafkaTopic.read(env),
    secretKeys: table.secretKeys.read(env) ?? [],
    allowDestinations:
      table.allowDestinations.read(env) ?? defaultDestinations(addresses, egressProxy),
    destinationPorts: table.destinationPorts.read(env),
    requireHttps: table.requireHttps.read(env),
    egressProxy,
    lanes: table.lanes.read(env),
    retryScheduleMs: table.retryScheduleMs.read(env),
    deliveryTimeoutMs,
    maxInFlight: table.maxInFlight.read(env),
    maxInFlightPerOrigin: table.maxInFlightPerOrigin.read(env),
    maxInFlightPerEndpoint: table.maxInFlightPerEndpoint.read(env),
    maxRowsPerEndpoint: table.maxRowsPerEndpoint.read(env),
    rateLimitPerEndpoint: table.rateLimitPerEndpoint.read(env),
    circuitFailures: table.circuitFailures.read(env),
    circuitLongestWaitMs: table.circuitLongestWaitMs.read(env),
    disableAfterMs: table.disableAfterMs.read(env),
    retentionMs: table.retentionMs.read(env),
    requestIdRetentionMs: table.requestIdRetentionMs.read(env),
    shutdownTimeoutMs: table.shutdownTimeoutMs.read(env) ?? deliveryTimeoutMs + SHUTDOWN_MARGIN_MS,
    allowAnonymous: table.allowAnonymous.read(env),
    logLevel: table.logLevel.read(env),
  };
}

/** Every process may serve metrics, and none of them asks for a key. */
function readMetricsAddress(env: NodeJS.ProcessEnv): Address | undefined {
  const found = table.metricsAddr.read(env);
  if (found !== undefined) {
    const allowAnonymous = table.allowAnonymous.read(env);
    assertLoopback(found, { variable: table.metricsAddr.variable, allowAnonymous });
  }
  return found;
}

/**
 * Loopback, as long as all of Billhook is on this machine alone: nobody outside can register an
 * address then. Copies on other machines count, although this process does not listen there. The
 * loopback that a proxy reaches is its own, and no business of receivers on this machine.
 */
function defaultDestinations(
  addresses: Pick<
    Settings,
    'httpAddr' | 'invoiceAddr' | 'subscriptionAddr' | 'deliveryAddr' | 'metricsAddr'
  >,
  egressProxy: string | undefined,
): readonly string[] {
  const { httpAddr, invoiceAddr, subscriptionAddr, deliveryAddr, metricsAddr } = addresses;
  const copies = [invoiceAddr, subscriptionAddr, deliveryAddr].flatMap(({ all }) => all);
  const listening = [httpAddr, ...copies, ...(metricsAddr === undefined ? [] : [metricsAddr])];
  return egressProxy === undefined && listening.every(isLoopback) ? LOOPBACK_RANGES : [];
}

/** Every variable with its default and its meaning, for the documentation and its test. */
export function describeSettings(): readonly SettingDescription[] {
  return Object.values(table).map(({ variable, default: byDefault, meaning, expected }) => ({
    variable,
    default: byDefault,
    meaning,
    expected,
  }));
}

/** A misspelt name would be dropped in silence, and the default would hold. */
function refuseUnknownVariables(env: NodeJS.ProcessEnv): void {
  const known = new Set(Object.values(table).map((setting) => setting.variable));
  const unknown = Object.keys(env).find(
    (name) => name.startsWith(PREFIX) && !name.startsWith(TEST_PREFIX) && !known.has(name),
  );
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `${unknown} is not a setting of Billhook: expected one of ${[...known].join(', ')}.`,
    );
  }
}

/** A setting with a default that is written as it would be in the variable. */
function required<Value>(
  variable: string,
  kind: SettingKind<Value>,
  text: { readonly default: string; readonly meaning: string },
): Setting<Value> {
  const read = (env: NodeJS.ProcessEnv) => parse(kind, variable, env[variable] || text.default);
  return { variable, expected: kind.expected, ...text, read };
}

/** A setting that may stay undefined: `default` then says in words what happens. */
function optional<Value>(
  variable: string,
  kind: SettingKind<Value>,
  text: { readonly default: string; readonly meaning: string },
): Setting<Value | undefined> {
  const read = (env: NodeJS.ProcessEnv) =>
    env[variable] ? parse(kind, variable, env[variable]) : undefined;
  return { variable, expected: kind.expected, ...text, read };
}

/** The value itself is not repeated: it may be a secret that was put under the wrong name. */
function parse<Value>(kind: SettingKind<Value>, variable: string, text: string): Value {
  const value = kind.parse(text.trim());
  if (value === undefined) {
    throw new ConfigurationError(`${variable} must be ${kind.expected}.`);
  }
  return value;
}
