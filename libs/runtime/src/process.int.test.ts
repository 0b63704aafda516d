import { spawn } from 'node:child_process';
import type { ChildProcess, ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const fixture = fileURLToPath(new URL('./process.fixture.ts', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly log: string;
}

describe('a process', () => {
  test('stops once and ends with 0, however often it is told to', async () => {
    const ended = await run('behave', {}, (child) => {
      child.kill('SIGTERM');
      child.kill('SIGINT');
      child.kill('SIGTERM');
    });
    expect(ended).toMatchObject({ code: 0, output: 'ready\nstopped\n' });
  });

  test('ends with 1 when its stop takes too long', async () => {
    const env = { BILLHOOK_SHUTDOWN_TIMEOUT: '100ms' };
    const ended = await run('hang on stop', env, (child) => child.kill('SIGTERM'));
    expect(ended).toMatchObject({ code: 1, output: 'ready\n' });
    expect(ended.log).toContain('the stop took too long');
  });

  test.each(['throw', 'reject'])(
    'ends with 1 and says why when nobody catches a %s',
    async (way) => {
      const ended = await run(way, {});
      expect(ended.code).toBe(1);
      expect(ended.log).toContain('out of order');
    },
  );

  test('ends with 1 and says why when it cannot start', async () => {
    const ended = await run('fail to start', {});
    expect(ended).toMatchObject({ code: 1, output: '' });
    expect(ended.log).toContain('no disk');
  });

  test('ends with 2 and one sentence when its configuration is refused', async () => {
    const ended = await run('behave', { BILLHOOK_LANES: 'many' });
    expect(ended).toEqual({
      code: 2,
      output: '',
      log: 'BILLHOOK_LANES must be a whole number from 1 to 1024.\n',
    });
  });

  test('goes on when whoever read its output is gone', async () => {
    const child = start('talk', {});
    await once(child.stdout, 'data');
    child.stdout.destroy();
    child.stderr.destroy();
    await sleep(200);
    expect(child.exitCode).toBeNull();
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

/** Runs the fixture to its end; `whenReady` is called with the process once it has said `ready`. */
async function run(
  behaviour: string,
  env: NodeJS.ProcessEnv,
  whenReady: (child: ChildProcess) => void = () => undefined,
): Promise<Ended> {
  const child = start(behaviour, env);
  child.stdout.once('data', () => whenReady(child));
  const [output, log] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { code: child.exitCode, output, log };
}

function start(
  behaviour: string,
  env: NodeJS.ProcessEnv,
): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [fixture, behaviour], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
