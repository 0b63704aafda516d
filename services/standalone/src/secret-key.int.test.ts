import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keepSecretKey } from './secret-key.ts';

describe('the key in the data folder', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'billhook-key-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test('is made once, of 32 bytes, and read from then on', async () => {
    const made = await keepSecretKey(folder);

    expect(Buffer.from(made, 'base64')).toHaveLength(32);
    expect(await keepSecretKey(folder)).toBe(made);
    expect(await readdir(folder)).toEqual(['secret-key']);
  });

  test('is for its owner only, also when somebody opened it', async () => {
    const path = join(folder, 'secret-key');
    await keepSecretKey(folder);
    expect((await stat(path)).mode & 0o777).toBe(0o600);

    await chmod(path, 0o644);
    await keepSecretKey(folder);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test('is made anew when its making was interrupted', async () => {
    await writeFile(join(folder, 'secret-key.new'), 'half');

    expect(Buffer.from(await keepSecretKey(folder), 'base64')).toHaveLength(32);
  });
});
