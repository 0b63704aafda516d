import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { stopLeftPostgres } from '@billhook/embedded-postgres';

/** A standalone process, with what it has printed so far. */
interface Standalone {
  readonly child: ChildProcess;
  output(): string;
  errors(): string;
  /** @returns the exit code, or undefined after a signal. */
  ended(): Promise<number | undefined>;
}

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const READY_TIMEOUT_MS = 20_000;

describe('the standalone process', () => {
  let folder: string;
  let ports: readonly number[];
  let started: Standalone[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'billhook-standalone-'));
    await chmod(folder, 0o755);
    ports = await findFreePorts(4);
    started = [];
  });
  afterEach(async () => {
    for (const standalone of started) {
      standalone.child.kill('SIGKILL');
      await standalone.ended();
    }
    await stopLeftPostgres(join(folder, 'postgres'));
    await rm(folder, { recursive: true, force: true });
  });

  const addresses = () => ({
    BILLHOOK_HTTP_ADDR: `127.0.0.1:${ports[0]}`,
    BILLHOOK_INVOICE_ADDR: `127.0.0.1:${ports[1]}`,
    BILLHOOK_SUBSCRIPTION_ADDR: `127.0.0.1:${ports[2]}`,
    BILLHOOK_DELIVERY_ADDR: `127.0.0.1:${ports[3]}`,
  });

  const start = () => {
    const standalone = run({ ...addresses(), BILLHOOK_DATA_DIR: folder });
    started.push(standalone);
    return standalone;
  };

  const startReady = async () => {
    const standalone = start();
    await vi.waitUntil(() => standalone.output().includes('Billhook is ready\n'), {
      timeout: READY_TIMEOUT_MS,
    });
    return standalone;
  };

  test('prints one line per service, then that it is ready, and stops with 0', async () => {
    const standalone = await startReady();

    expect(standalone.output().trim().split('\n')).toEqual([
      `subscription listening on 127.0.0.1:${ports[2]}`,
      `invoice listening on 127.0.0.1:${ports[1]}`,
      `dispatcher listening on 127.0.0.1:${ports[3]}`,
      `gateway listening on 127.0.0.1:${ports[0]}`,
      'Billhook is ready',
    ]);
    expect((await fetch(`http://127.0.0.1:${ports[0]}/readyz`)).status).toBe(200);

    // A terminal and npm both send one.
    standalone.child.kill('SIGINT');
    standalone.child.kill('SIGTERM');
    expect(await standalone.ended()).toBe(0);
    await expect(postgresPid(folder)).rejects.toThrow('ENOENT');
  });

  test('refuses a second start on its folder, which does it no harm', async () => {
    await startReady();
    const second = start();

    expect(await second.ended()).toBe(2);
    expect(second.errors().trim()).toMatch(/^Billhook is already running on [^\n]+\.$/);
    expect((await fetch(`http://127.0.0.1:${ports[0]}/readyz`)).status).toBe(200);
  });

  test('goes on after a kill with the Postgres that lived on', async () => {
    const first = await startReady();
    const postgres = await postgresPid(folder);
    first.child.kill('SIGKILL');
    await first.ended();

    await startReady();

    expect(await postgresPid(folder)).toBe(postgres);
    expect((await fetch(`http://127.0.0.1:${ports[0]}/readyz`)).status).toBe(200);
  });

  test.for([
    ['BILLHOOK_HTTP_ADDR', 0],
    ['BILLHOOK_INVOICE_ADDR', 1],
    ['BILLHOOK_SUBSCRIPTION_ADDR', 2],
    ['BILLHOOK_DELIVERY_ADDR', 3],
  ] as const)(
    'says in a sentence that the port is in use, and names %s',
    async ([variable, index]) => {
      const port = ports[index];
      const other = createServer().listen(port, '127.0.0.1');
      await once(other, 'listening');

      const standalone = start();

      expect(await standalone.ended()).toBe(2);
      const sentence = standalone.errors().trim().split('\n').at(-1);
      expect(sentence).toContain(`127.0.0.1:${port}`);
      expect(sentence).toContain(variable);
      other.close();
    },
  );
});

function run(settings: Readonly<Record<string, string>>): Standalone {
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  child.stderr.on('data', (chunk) => (errors += String(chunk)));
  const closed = once(child, 'close');
  return {
    child,
    output: () => output,
    errors: () => errors,
    ended: async () => {
      await closed;
      return child.exitCode ?? undefined;
    },
  };
}

async function postgresPid(folder: string): Promise<number> {
  const lock = await readFile(join(folder, 'postgres', 'cluster', 'postmaster.pid'), 'utf8');
  return Number(lock.split('\n')[0]);
}

async function findFreePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' ? (address?.port ?? 0) : 0;
  });
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
