import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { connectionsLeft, createTestDatabase, useTestDatabase } from './database.ts';

describe('a test database', () => {
  const database = useTestDatabase();

  test('is empty and takes tables', async () => {
    const client = new pg.Client({ connectionString: database.connectionString });
    await client.connect();
    await client.query('create table thing (id int)');
    const { rows } = await client.query('select count(*)::int as count from thing');
    await client.end();

    expect(rows).toEqual([{ count: 0 }]);
  });

  test('is made in little time', async () => {
    const startMs = performance.now();
    const other = await createTestDatabase();
    await other.drop();

    expect(performance.now() - startMs).toBeLessThan(3_000);
  });

  test('names the connections that a file leaves open', async () => {
    const other = await createTestDatabase();
    const leaked = new pg.Client({
      connectionString: other.connectionString,
      application_name: 'forgotten',
    });
    leaked.on('error', () => undefined);
    await leaked.connect();

    expect(await connectionsLeft(other, 50)).toEqual(['forgotten (idle: )']);

    const ended = new Promise((resolve) => leaked.once('end', resolve));
    await other.drop();
    await ended;
  });

  test('counts a connection that has just ended as closed', async () => {
    const other = await createTestDatabase();
    const client = new pg.Client({ connectionString: other.connectionString });
    await client.connect();
    await client.end();

    expect(await connectionsLeft(other, 2_000)).toEqual([]);
    await other.drop();
  });
});
