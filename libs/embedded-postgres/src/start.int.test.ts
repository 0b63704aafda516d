import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startEmbeddedPostgres, stopLeftPostgres } from './start.ts';

const isRoot = process.getuid?.() === 0;
const fixture = fileURLToPath(new URL('./start-and-stay.fixture.ts', import.meta.url));

describe('the embedded Postgres', () => {
  let folder: string;
  let dataDir: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'billhook-embedded-'));
    await chmod(folder, 0o755);
    dataDir = join(folder, 'postgres');
  });
  afterEach(async () => {
    await stopLeftPostgres(dataDir);
    await rm(folder, { recursive: true, force: true });
  });

  const start = () => startEmbeddedPostgres({ dataDir, durability: 'none' });

  test('loses no commit, sorts by bytes and listens on loopback only', async () => {
    const postgres = await startEmbeddedPostgres({ dataDir });

    const settings = await query(
      postgres.connectionString,
      `select string_agg(name || '=' || setting, ' ' order by name) as found from pg_settings
       where name in ('fsync', 'full_page_writes', 'listen_addresses', 'server_encoding',
                      'synchronous_commit', 'unix_socket_directories')
       union all select datcollate from pg_database where datname = current_database()`,
    );

    expect(settings).toEqual([
      {
        found:
          'fsync=on full_page_writes=on listen_addresses=127.0.0.1 server_encoding=UTF8 ' +
          'synchronous_commit=on unix_socket_directories=',
      },
      { found: 'C' },
    ]);
  });

  test('comes back on its port after it was killed, when it is given one', async () => {
    const first = await start();
    const port = Number(new URL(first.connectionString).port);
    await first.stop();
    const second = await startEmbeddedPostgres({ dataDir, durability: 'none', port });
    process.kill(second.pid, 'SIGKILL');

    const third = await startEmbeddedPostgres({ dataDir, durability: 'none', port });

    expect(third.connectionString).toBe(first.connectionString);
    expect(third.pid).not.toBe(second.pid);
    expect(await query(third.connectionString, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('asks for the password, which only its owner can read', async () => {
    const postgres = await start();
    const guess = new URL(postgres.connectionString);
    guess.password = 'guess';

    await expect(query(guess.href, 'select 1')).rejects.toThrow('password authentication failed');
    expect((await stat(join(dataDir, 'password'))).mode & 0o777).toBe(0o600);
    const log = await readFile(join(dataDir, 'postgres.log'), 'utf8');
    expect(log).not.toContain(new URL(postgres.connectionString).password);
  });

  test('keeps what was written over a stop, and may be stopped twice', async () => {
    const first = await start();
    await query(first.connectionString, 'create table kept as select 7 as number');
    await Promise.all([first.stop(), first.stop()]);
    await expect(query(first.connectionString, 'select 1')).rejects.toThrow('ECONNREFUSED');

    const second = await start();

    expect(second.adopted).toBe(false);
    expect(await query(second.connectionString, 'select * from kept')).toEqual([{ number: 7 }]);
  });

  test.for([
    ['interrupted', 'SIGINT'],
    ['killed', 'SIGKILL'],
  ] as const)('lives on when its parent is %s, and is adopted', async ([, signal]) => {
    const parent = spawn(process.execPath, [fixture, dataDir], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(parent.stdout, 'data');
    const exited = once(parent, 'exit');
    // To the whole group, as a terminal sends Ctrl-C.
    process.kill(-(parent.pid ?? 0), signal);
    await exited;

    const postgres = await start();

    expect(postgres).toMatchObject({ adopted: true, pid: Number(line) });
    expect(await query(postgres.connectionString, 'select 1 as one')).toEqual([{ one: 1 }]);
    await postgres.stop();
    await expect(query(postgres.connectionString, 'select 1')).rejects.toThrow('ECONNREFUSED');
  });

  test('recovers when it was killed itself with a session open', async () => {
    const first = await startEmbeddedPostgres({ dataDir });
    await query(first.connectionString, 'create table kept as select 7 as number');
    const client = new pg.Client({ connectionString: first.connectionString });
    client.on('error', () => undefined);
    await client.connect();
    process.kill(first.pid, 'SIGKILL');

    const second = await start();

    expect(second.adopted).toBe(false);
    expect(await query(second.connectionString, 'select * from kept')).toEqual([{ number: 7 }]);
    await client.end().catch(() => undefined);
  });

  test('tells when the server ends by itself, and not when it is stopped', async () => {
    const told: string[] = [];
    const first = await startEmbeddedPostgres({
      dataDir,
      durability: 'none',
      onLost: () => told.push('lost the first'),
    });
    process.kill(first.pid, 'SIGKILL');
    await vi.waitUntil(() => told.length > 0, { timeout: 5_000 });
    const second = await startEmbeddedPostgres({
      dataDir,
      durability: 'none',
      onLost: () => told.push('lost the second'),
    });
    await second.stop();
    await sleep(1_500);

    expect(told).toEqual(['lost the first']);
  });

  test('starts although the number in a stale lock belongs to another process now', async () => {
    const first = await start();
    const lock = join(dataDir, 'cluster', 'postmaster.pid');
    const content = await readFile(lock, 'utf8');
    await first.stop();
    await writeFile(lock, content.replace(String(first.pid), String(process.pid)));

    const second = await start();

    expect(await query(second.connectionString, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('takes a database whose making was interrupted for none', async () => {
    await mkdir(join(dataDir, 'cluster-unfinished-1'), { recursive: true });
    await writeFile(join(dataDir, 'password'), 'of the unfinished one');

    const postgres = await start();

    expect(await query(postgres.connectionString, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(await readdir(dataDir)).toEqual(['cluster', 'password', 'postgres.log']);
  });

  test('makes the database anew when a kill came while it was being made', async () => {
    const parent = spawn(process.execPath, [fixture, dataDir], { stdio: 'ignore' });
    const exited = once(parent, 'exit');
    await vi.waitUntil(async () => (await readdir(dataDir).catch(() => [])).length > 1);
    parent.kill('SIGKILL');
    await exited;

    const postgres = await start();

    expect(await query(postgres.connectionString, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('says what Postgres said when it does not start', async () => {
    await (await start()).stop();
    await writeFile(join(dataDir, 'cluster', 'PG_VERSION'), '9\n');

    await expect(start()).rejects.toThrow(/incompatible with server/);
  });

  test.runIf(isRoot)('runs as another user below a folder that only root may enter', async () => {
    await chmod(folder, 0o700);

    const first = await start();
    const owner = await stat(`/proc/${first.pid}`);
    await first.stop();
    const second = await start();

    expect(owner.uid).not.toBe(0);
    expect(await query(second.connectionString, 'select 1 as one')).toEqual([{ one: 1 }]);
  });
});

async function query(connectionString: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
