import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { useTestDatabase } from '@billhook/testing';
import { describe, expect, test } from 'vitest';
import type { ChildProcess } from 'node:child_process';

const database = useTestDatabase();

function run(file: string, env: NodeJS.ProcessEnv, args: readonly string[] = []): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return spawn(process.execPath, [path, ...args], {
    env: { PATH: process.env['PATH'], BILLHOOK_LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Runs the client of the repository: what it printed, and how it ended. */
async function runClient(address: string, line: string) {
  const env = { BILLHOOK_INVOICE_ADDR: address };
  const client = run('../../../scripts/invoice.ts', env, line.split(' '));
  const exit = once(client, 'exit');
  const [output, complaint] = await Promise.all([readAll(client.stdout), readAll(client.stderr)]);
  const [code]: unknown[] = await exit;
  const printed: unknown = output === '' ? undefined : JSON.parse(output);
  return { printed, complaint, code };
}

/** What the process printed on a stream until it closed it. */
async function readAll(stream: ChildProcess['stdout']): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) {
    text += String(chunk);
  }
  return text;
}

/** Waits until the process is ready; returns what it announced before. */
async function readUntilReady(service: ChildProcess): Promise<readonly string[]> {
  const lines: string[] = [];
  if (service.stdout !== null) {
    for await (const line of createInterface(service.stdout)) {
      if (line === 'Billhook is ready') {
        break;
      }
      lines.push(line);
    }
  }
  return lines;
}

describe('the service in a process of its own', () => {
  test('says where it listens, answers, stops with 0, and rebuilds what it kept', async () => {
    const env = {
      BILLHOOK_DATABASE_URL: database.connectionString,
      BILLHOOK_INVOICE_ADDR: '127.0.0.1:0',
    };
    const service = run('./main.ts', env);
    const [announced] = await readUntilReady(service);
    expect(announced).toMatch(/^invoice listening on 127\.0\.0\.1:\d+$/);
    const address = announced?.split(' ').at(-1) ?? '';
    const made = await runClient(address, 'create --amount 1550.5 --currency USD --id a');
    expect(made).toMatchObject({
      printed: { invoiceId: 'a', status: 'INVOICE_STATUS_PENDING', etag: '1' },
      code: 0,
    });
    expect(await runClient(address, 'get --id a')).toEqual(made);
    expect(await runClient(address, 'pay --id a --amount 1 --currency EUR')).toMatchObject({
      complaint: expect.stringContaining('INVALID_ARGUMENT (CURRENCY_MISMATCH)'),
      code: 1,
    });
    service.kill('SIGTERM');
    service.kill('SIGTERM');
    expect(await once(service, 'exit')).toEqual([0, null]);

    const rebuild = run('./rebuild.ts', env);
    const exit = once(rebuild, 'exit');
    expect(await readAll(rebuild.stdout)).toBe('The invoices were rebuilt from 1 events\n');
    expect(await exit).toEqual([0, null]);
  });

  test.each([
    ['./main.ts', {}, 'BILLHOOK_DATABASE_URL'],
    ['./rebuild.ts', {}, 'BILLHOOK_DATABASE_URL'],
    ['./main.ts', { BILLHOOK_NONSENSE: '1' }, 'BILLHOOK_NONSENSE'],
    [
      './main.ts',
      { BILLHOOK_DATABASE_URL: 'postgres://127.0.0.1:1/x', BILLHOOK_INVOICE_ADDR: '0.0.0.0:0' },
      'BILLHOOK_INVOICE_ADDR',
    ],
  ])('%s with %o says in a sentence that %s is wrong', async (file, env, variable) => {
    const service = run(file, env);
    const exit = once(service, 'exit');
    const sentence = await readAll(service.stderr);
    expect(sentence).toContain(variable);
    expect(sentence.trim().split('\n')).toHaveLength(1);
    expect(await exit).toEqual([2, null]);
  });
});
