import { describe, expect, test } from 'vitest';
import { ConfigurationError } from './errors.ts';
import { describeSettings, readSettings } from './settings.ts';

const DAY_MS = 86_400_000;

describe('settings', () => {
  test('have a default for a local start each', () => {
    expect(readSettings({ PATH: '/bin' })).toMatchObject({
      httpAddr: { host: '127.0.0.1', port: 8080, text: '127.0.0.1:8080' },
      invoiceAddr: { listen: { port: 50_051 }, target: '127.0.0.1:50051' },
      subscriptionAddr: { listen: { port: 50_052 } },
      deliveryAddr: { listen: { port: 50_053 } },
      dataDir: './.billhook',
      databaseUrl: undefined,
      secretKeys: [],
      allowDestinations: ['127.0.0.0/8', '::1/128'],
      destinationPorts: undefined,
      requireHttps: false,
      egressProxy: undefined,
      lanes: 16,
      deliveryTimeoutMs: 15_000,
      retentionMs: 30 * DAY_MS,
      requestIdRetentionMs: 7 * DAY_MS,
      shutdownTimeoutMs: 25_000,
      allowAnonymous: false,
      logLevel: 'info',
    });
  });

  test('hold the retry schedule in milliseconds', () => {
    const { retryScheduleMs } = readSettings({ BILLHOOK_RETRY_SCHEDULE: '500ms, 5s,5m,2h,1d' });
    expect(retryScheduleMs).toEqual([500, 5_000, 300_000, 7_200_000, DAY_MS]);
  });

  test('give a stop ten seconds more than a delivery may take', () => {
    expect(readSettings({ BILLHOOK_DELIVERY_TIMEOUT: '2s' }).shutdownTimeoutMs).toBe(12_000);
    expect(readSettings({ BILLHOOK_SHUTDOWN_TIMEOUT: '3s' }).shutdownTimeoutMs).toBe(3_000);
  });

  test.each([
    ['[::1]:50051', '::1', '[::1]:50051'],
    ['dns:///invoice:50051', 'invoice', 'dns:///invoice:50051'],
    ['dns:///invoice:50051, 0.0.0.0:7000', '0.0.0.0', 'dns:///invoice:50051,0.0.0.0:7000'],
    ['invoice-1:1,invoice-2:1', 'invoice-1', 'invoice-1:1,invoice-2:1'],
  ])('read %s as the copies of a service', (text, host, target) => {
    const { invoiceAddr } = readSettings({ BILLHOOK_INVOICE_ADDR: text });
    expect(invoiceAddr).toMatchObject({ listen: { host }, target });
  });

  test('limit no rate unless one is given, which need not be whole', () => {
    expect(readSettings({}).rateLimitPerEndpoint).toBeUndefined();
    const env = { BILLHOOK_RATE_LIMIT_PER_ENDPOINT: '0.5' };
    expect(readSettings(env).rateLimitPerEndpoint).toBe(0.5);
  });

  test('tell destinations that are switched off from those that nobody named', () => {
    expect(readSettings({ BILLHOOK_ALLOW_DESTINATIONS: 'none' }).allowDestinations).toEqual([]);
    expect(
      readSettings({ BILLHOOK_ALLOW_DESTINATIONS: '10.0.0.0/8,fd00::/8' }).allowDestinations,
    ).toEqual(['10.0.0.0/8', 'fd00::/8']);
  });

  test('read ports and ranges of ports', () => {
    const env = { BILLHOOK_DESTINATION_PORTS: '443, 8000-8999' };
    expect(readSettings(env).destinationPorts).toEqual([
      { first: 443, last: 443 },
      { first: 8_000, last: 8_999 },
    ]);
  });

  test('take an empty variable for an absent one', () => {
    const env = { BILLHOOK_DATABASE_URL: '', BILLHOOK_LANES: '' };
    expect(readSettings(env)).toMatchObject({ databaseUrl: undefined, lanes: 16 });
  });

  test.each([
    ['BILLHOOK_HTTP_ADDR', '8080'],
    ['BILLHOOK_HTTP_ADDR', '127.0.0.1:65536'],
    ['BILLHOOK_HTTP_ADDR', '127.0.0.256:80'],
    ['BILLHOOK_HTTP_ADDR', '::1:80'],
    ['BILLHOOK_INVOICE_ADDR', 'a:1,,b:1'],
    ['BILLHOOK_INVOICE_ADDR', 'http://a:1'],
    ['BILLHOOK_DATABASE_URL', 'mysql://localhost/billhook'],
    ['BILLHOOK_SECRET_KEY', 'c2hvcnQ='],
    ['BILLHOOK_ALLOW_DESTINATIONS', '10.0.0.0'],
    ['BILLHOOK_ALLOW_DESTINATIONS', '10.0.0.0/33'],
    ['BILLHOOK_DESTINATION_PORTS', '0'],
    ['BILLHOOK_DESTINATION_PORTS', '443,'],
    ['BILLHOOK_DESTINATION_PORTS', '8999-8000'],
    ['BILLHOOK_DESTINATION_PORTS', '1-65536'],
    ['BILLHOOK_REQUIRE_HTTPS', '1'],
    ['BILLHOOK_EGRESS_PROXY', 'proxy:3128'],
    ['BILLHOOK_EGRESS_PROXY', 'https://proxy:3128'],
    ['BILLHOOK_EGRESS_PROXY', 'socks5://proxy:1080'],
    ['BILLHOOK_EGRESS_PROXY', 'http://proxy:3128/path'],
    ['BILLHOOK_EGRESS_PROXY', 'http://proxy:3128/?a'],
    ['BILLHOOK_EGRESS_PROXY', 'http://user:%zz@proxy:3128'],
    ['BILLHOOK_LANES', '0'],
    ['BILLHOOK_LANES', '1e2'],
    ['BILLHOOK_RATE_LIMIT_PER_ENDPOINT', '0'],
    ['BILLHOOK_RATE_LIMIT_PER_ENDPOINT', '0.0001'],
    ['BILLHOOK_RATE_LIMIT_PER_ENDPOINT', '1e3'],
    ['BILLHOOK_RETRY_SCHEDULE', '5s,soon'],
    ['BILLHOOK_RETRY_SCHEDULE', Array.from({ length: 101 }, () => '1s').join(',')],
    ['BILLHOOK_DELIVERY_TIMEOUT', '15'],
    ['BILLHOOK_DELIVERY_TIMEOUT', '0s'],
    ['BILLHOOK_RETENTION', '1.5d'],
    ['BILLHOOK_ALLOW_ANONYMOUS', 'yes'],
    ['BILLHOOK_LOG_LEVEL', 'loud'],
  ])('refuse %s=%s in a sentence that names it', (variable, value) => {
    const read = () => readSettings({ [variable]: value });
    expect(read).toThrow(ConfigurationError);
    expect(read).toThrow(new RegExp(`^${variable} must be .*\\.$`));
  });

  test.each([
    ['BILLHOOK_DATABASE_URL', 'mysql://u:hunter2@localhost/b'],
    ['BILLHOOK_EGRESS_PROXY', 'https://u:hunter2@localhost/'],
  ])('repeat no secret in a refusal of %s', (variable, value) => {
    expect(() => readSettings({ [variable]: value })).toThrow(/^((?!hunter2).)*$/);
  });

  test('refuse a variable that nobody knows', () => {
    expect(() => readSettings({ BILLHOOK_LANE: '4' })).toThrow(
      /^BILLHOOK_LANE is not a setting of Billhook/,
    );
  });

  test('leave the variables of the test suite alone', () => {
    expect(() => readSettings({ BILLHOOK_TEST_DATABASE_URL: 'x' })).not.toThrow();
  });

  test('are described each, with defaults that can be read', () => {
    const described = describeSettings();
    expect(new Set(described.map(({ variable }) => variable)).size).toBe(described.length);
    expect(described.find(({ variable }) => variable === 'BILLHOOK_LANES')).toMatchObject({
      default: '16',
      expected: 'a whole number from 1 to 1024',
    });
  });
});

describe('the destinations that may be reached although they are internal', () => {
  test.each([
    'BILLHOOK_HTTP_ADDR',
    'BILLHOOK_INVOICE_ADDR',
    'BILLHOOK_SUBSCRIPTION_ADDR',
    'BILLHOOK_DELIVERY_ADDR',
    'BILLHOOK_METRICS_ADDR',
  ])('are none once %s is outside loopback', (variable) => {
    const env = { BILLHOOK_ALLOW_ANONYMOUS: 'true', [variable]: '0.0.0.0:9000' };
    expect(readSettings(env).allowDestinations).toEqual([]);
  });

  test.each(['127.0.0.1:1,10.0.0.5:1', '127.0.0.1:1,dns:///deliveries:1', 'deliveries:1'])(
    'are none once a copy of a service may be elsewhere: %s',
    (text) => {
      expect(readSettings({ BILLHOOK_DELIVERY_ADDR: text }).allowDestinations).toEqual([]);
    },
  );

  test('are those of loopback while everything is there, on several ports, too', () => {
    const env = {
      BILLHOOK_INVOICE_ADDR: '127.0.0.1:1,localhost:2,[::1]:3',
      BILLHOOK_METRICS_ADDR: '127.0.0.1:9464',
    };
    expect(readSettings(env).allowDestinations).toEqual(['127.0.0.0/8', '::1/128']);
  });

  test('are none once deliveries go through a proxy, whose loopback is another', () => {
    const env = { BILLHOOK_EGRESS_PROXY: 'http://127.0.0.1:3128' };
    expect(readSettings(env).allowDestinations).toEqual([]);
  });

  test('are those that are named, wherever anything listens', () => {
    const env = { BILLHOOK_HTTP_ADDR: '0.0.0.0:9000', BILLHOOK_ALLOW_DESTINATIONS: '10.0.0.0/8' };
    expect(readSettings(env).allowDestinations).toEqual(['10.0.0.0/8']);
  });
});
