import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigurationError } from '@billhook/runtime';
import { lockDataFolder } from './instance-lock.ts';

const fixture = fileURLToPath(new URL('./lock-and-stay.fixture.ts', import.meta.url));

describe('the lock on the data folder', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'billhook-lock-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test('lets one process in, says so to a second one, and ends with a kill', async () => {
    const first = spawn(process.execPath, [fixture, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(first.stdout, 'data');

    const claim = () => lockDataFolder(folder);
    expect(claim).toThrow(ConfigurationError);
    expect(claim).toThrow(`Billhook is already running on ${folder}`);

    const exited = once(first, 'exit');
    first.kill('SIGKILL');
    await exited;
    claim().release();
  });

  test('is free again after its release', () => {
    lockDataFolder(folder).release();
    lockDataFolder(folder).release();
  });

  test('makes the folder', () => {
    lockDataFolder(join(folder, 'a', 'b')).release();
  });

  test('names the variable when the folder cannot be used', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');

    expect(() => lockDataFolder(file)).toThrow(/BILLHOOK_DATA_DIR/);
  });
});
