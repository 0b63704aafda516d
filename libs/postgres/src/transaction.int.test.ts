import { createLog } from '@billhook/runtime';
import { startPostgresProxy, useTestDatabase, type PostgresProxy } from '@billhook/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { isUnavailable } from './availability.ts';
import { createPool, type Client, type Pool } from './pool.ts';
import {
  OutcomeUnknownError,
  transaction,
  transactionInTwoSteps,
  type Sent,
} from './transaction.ts';

const database = useTestDatabase();
const log = createLog({ level: 'silent', service: 'test' });
let proxy: PostgresProxy;
let pool: Pool;
let direct: Pool;

beforeAll(async () => {
  proxy = await startPostgresProxy(database.connectionString);
  const options = { applicationName: 'test', maxConnections: 2, log };
  pool = createPool({ ...options, connectionString: proxy.connectionString });
  direct = createPool({ ...options, connectionString: database.connectionString });
  await direct.query(`
    create table note (text text primary key);
    create table remark (text text references note deferrable initially deferred);
    create function nap() returns trigger language plpgsql as
      $$ begin perform pg_sleep(0.1); return null; end $$;
    create constraint trigger slow_commit after insert on note deferrable initially deferred
      for each row when (new.text like 'step %') execute function nap()`);
});

afterAll(async () => {
  await Promise.all([pool.end(), direct.end()]);
  await proxy.close();
});

function write(text: string): (client: Client) => Promise<unknown> {
  return (client) => client.query('insert into note values ($1)', [text]);
}

async function isWritten(text: string): Promise<boolean> {
  const result = await direct.query('select from note where text = $1', [text]);
  return result.rowCount === 1;
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test('what was done is there afterwards, and the result is handed on', async () => {
  const result = await transaction(pool, async (client) => {
    await write('done')(client);
    return 42;
  });
  expect(result).toBe(42);
  expect(await isWritten('done')).toBe(true);
});

test('work that fails is undone, its error is handed on, and its connection is used again', async () => {
  const error = new Error('no');
  const before = await direct.query(BACKENDS);
  const work = transaction(pool, async (client) => {
    await write('undone')(client);
    throw error;
  });
  expect(await failure(work)).toBe(error);
  expect(await isWritten('undone')).toBe(false);
  expect((await direct.query(BACKENDS)).rows).toEqual(before.rows);
});

const BACKENDS = `select pid from pg_stat_activity where datname = current_database() order by pid`;

test('a COMMIT that Postgres answers with ROLLBACK is no success', async () => {
  const work = transaction(pool, async (client) => {
    await write('swallowed')(client);
    await failure(client.query('select 1 / 0'));
  });
  const error = await failure(work);
  expect(error).toHaveProperty('message', expect.stringContaining('ROLLBACK'));
  expect(error).not.toBeInstanceOf(OutcomeUnknownError);
  expect(await isWritten('swallowed')).toBe(false);
});

test('a COMMIT that Postgres refuses is known to have failed', async () => {
  const work = transaction(pool, (client) => client.query(`insert into remark values ('of none')`));
  expect(await failure(work)).toMatchObject({ code: '23503' });
});

test('a COMMIT whose answer is lost has an unknown outcome, and may have been done', async () => {
  proxy.onCommit(() => 'unanswered');
  expect(await failure(transaction(pool, write('unanswered')))).toBeInstanceOf(OutcomeUnknownError);
  expect(await isWritten('unanswered')).toBe(true);
});

test('a COMMIT that is lost has an unknown outcome, and may not have been done', async () => {
  proxy.onCommit(() => 'lost');
  expect(await failure(transaction(pool, write('lost')))).toBeInstanceOf(OutcomeUnknownError);
  expect(await isWritten('lost')).toBe(false);
});

test('a connection that breaks before COMMIT is known to have done nothing', async () => {
  proxy.onCommit(() => 'answered');
  const work = transaction(pool, async (client) => {
    await write('broken')(client);
    await endBackend(client);
    await write('broken too')(client);
  });
  const error = await failure(work);
  expect(error).not.toBeInstanceOf(OutcomeUnknownError);
  expect(isUnavailable(error)).toBe(true);
  expect(await isWritten('broken')).toBe(false);
});

test('a transaction that sleeps is ended by Postgres, and gives up its locks', async () => {
  const work = transaction(pool, async (client) => {
    await write('asleep')(client);
    await direct.query('select pg_sleep(2.3)');
    await write('awake')(client);
  });
  expect(isUnavailable(await failure(work))).toBe(true);
  expect(await isWritten('asleep')).toBe(false);
});

function inTwoSteps(...texts: string[]): Promise<string> {
  return transactionInTwoSteps(pool, {
    read: (client) => client.query<{ found: number }>('select 42 as found'),
    write: (client, { rows: [row] }) => ({
      result: `found ${row?.found}`,
      answers: texts.map((text) => write(text)(client)),
    }),
  });
}

describe('a transaction in two steps', () => {
  test('hands its result on, and has written', async () => {
    expect(await inTwoSteps('first', 'second')).toBe('found 42');
    expect(await isWritten('second')).toBe(true);
  });

  test('is undone by any statement that fails, whose error is handed on, and keeps its connection', async () => {
    const before = await direct.query(BACKENDS);
    expect(await failure(inTwoSteps('before', 'twice', 'twice', 'after'))).toMatchObject({
      code: '23505',
    });
    expect(await isWritten('before')).toBe(false);
    expect(await isWritten('after')).toBe(false);
    expect((await direct.query(BACKENDS)).rows).toEqual(before.rows);
  });

  test('is undone by a write that throws after its first statement', async () => {
    const error = new Error('no');
    const work = transactionInTwoSteps(pool, {
      read: () => Promise.resolve(),
      write(client): Sent<void> {
        void write('half')(client);
        throw error;
      },
    });
    expect(await failure(work)).toBe(error);
    expect(await isWritten('half')).toBe(false);
  });

  test('writes nothing when reading fails', async () => {
    const work = transactionInTwoSteps(pool, {
      read: (client) => client.query('select 1 / 0'),
      write: (client) => ({ result: undefined, answers: [write('unread')(client)] }),
    });
    expect(await failure(work)).toMatchObject({ code: '22012' });
    expect(await isWritten('unread')).toBe(false);
  });

  test('refuses a statement that comes after its commit', async () => {
    const work = transactionInTwoSteps(pool, {
      read: () => Promise.resolve(),
      write: (client) => ({
        result: undefined,
        answers: [write('in time')(client).then(() => write('late')(client))],
      }),
    });
    expect(await failure(work)).toBeInstanceOf(OutcomeUnknownError);
    expect(await isWritten('late')).toBe(false);
  });

  test.each([
    ['unanswered', true],
    ['lost', false],
  ] as const)('has an unknown outcome when its commit is %s', async (fate, isDone) => {
    proxy.onCommit(() => fate);
    expect(await failure(inTwoSteps(`step ${fate}`))).toBeInstanceOf(OutcomeUnknownError);
    expect(await isWritten(`step ${fate}`)).toBe(isDone);
    proxy.onCommit(() => 'answered');
  });
});

test('connections that break while nobody uses them are replaced', async () => {
  await Promise.all([transaction(pool, write('one')), transaction(pool, write('other'))]);
  proxy.cut();
  expect(isUnavailable(await failure(transaction(pool, write('cut'))))).toBe(true);
  proxy.mend();
  await transaction(pool, write('mended'));
  expect(await isWritten('mended')).toBe(true);
});

test('a connection that breaks while it is held idle outside of a transaction does no harm', async () => {
  const client = await pool.connect();
  await endBackend(client);
  expect(isUnavailable(await failure(client.query('select')))).toBe(true);
  client.release(true);
});

async function endBackend(client: Client): Promise<void> {
  const result = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  await direct.query('select pg_terminate_backend($1, 5000)', [result.rows[0]?.pid]);
}

test('int8 keeps all its digits', async () => {
  const result = await pool.query<{ large: bigint }>('select 9007199254740993::int8 as large');
  expect(result.rows[0]?.large).toBe(9_007_199_254_740_993n);
});
