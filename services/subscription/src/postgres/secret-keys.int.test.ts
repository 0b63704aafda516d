import { createKey, createSecretBox } from '@billhook/secrets';
import { expect, test } from 'vitest';
import { useSubscriptions } from '../testing/subscription-service.ts';

const subscriptions = useSubscriptions();

interface SecretRow {
  readonly endpoint_id: string;
  readonly ciphertext: Buffer;
}

async function readCiphertexts(): Promise<readonly SecretRow[]> {
  const { rows } = await subscriptions.pool.query<SecretRow>(
    'select endpoint_id, ciphertext from subscription.secret order by secret_id',
  );
  return rows;
}

async function readHeaders(endpointId: string): Promise<Buffer> {
  const { rows } = await subscriptions.pool.query<SecretRow>(
    'select endpoint_id, ciphertext from subscription.headers where endpoint_id = $1',
    [endpointId.slice(3)],
  );
  return rows[0]?.ciphertext ?? Buffer.alloc(0);
}

test('a wrong key is refused at the start, with a sentence that names the variable', async () => {
  const copy = await subscriptions.start();
  await copy.stop();
  const start = subscriptions.start({ secretKeys: [createKey()] });
  await expect(start).rejects.toThrow(/^BILLHOOK_SECRET_KEY is not the key .+\.$/);
  await expect(start).rejects.toMatchObject({ name: 'ConfigurationError' });
});

test('of two copies that start at once with different keys on a new database one is refused', async () => {
  await subscriptions.pool.query('drop schema subscription cascade');
  const outcomes = await Promise.allSettled([
    subscriptions.start(),
    subscriptions.start({ secretKeys: [createKey()] }),
  ]);
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  await subscriptions.pool.query('drop schema subscription cascade');
});

test('keys are rotated: with both, everything is encrypted anew, and the old one can go', async () => {
  const { secretKeys } = subscriptions.config;
  const before = await subscriptions.start();
  const { endpoint, secret } = await before.register('http://127.0.0.1:9/keys');
  const { endpointId } = endpoint;
  await before.rotate(endpointId);
  const headers = [{ name: 'authorization', value: 'Bearer of-old' }];
  await before.update({ endpointId, headers });
  await before.stop();
  const newKey = createKey();
  const between = await subscriptions.start({ secretKeys: [newKey, ...secretKeys] });
  await between.stop();
  const after = await subscriptions.start({ secretKeys: [newKey] });
  await after.register('http://127.0.0.1:9/keys-after');
  const box = createSecretBox([newKey]);
  const rows = await readCiphertexts();
  expect(rows.every(({ ciphertext }) => box.isCurrent(ciphertext))).toBe(true);
  expect(box.decrypt(rows[0]?.ciphertext ?? Buffer.alloc(0), endpointId)).toBe(secret);
  expect(box.decryptHeaders(await readHeaders(endpointId), endpointId)).toEqual(headers);
  await expect(subscriptions.start()).rejects.toThrow('BILLHOOK_SECRET_KEY');
  await subscriptions.pool.query('drop schema subscription cascade');
});

test('expired secrets are shown to nobody, and are removed', async () => {
  const copy = await subscriptions.start();
  const { endpointId } = (await copy.register('http://127.0.0.1:9/expired')).endpoint;
  await copy.rotate(endpointId);
  await subscriptions.pool.query(
    'update subscription.secret set valid_until_ms = 1 where valid_until_ms is not null',
  );
  const { message } = await copy.watch().next();
  expect(message?.value.endpoints.map(({ secrets }) => secrets.length)).toEqual([1]);
  expect(await readCiphertexts()).toHaveLength(2);
  await copy.stop();
  const next = await subscriptions.start();
  await next.stop();
  expect(await readCiphertexts()).toHaveLength(1);
});

test('no event holds a secret, open or encrypted', async () => {
  const copy = await subscriptions.start();
  const { endpoint, secret } = await copy.register('http://127.0.0.1:9/events');
  const rotated = await copy.rotate(endpoint.endpointId);
  const { rows } = await subscriptions.pool.query<{ data: Buffer }>(
    'select data from subscription.event',
  );
  const all = Buffer.concat(rows.map(({ data }) => data));
  const answers = await subscriptions.pool.query('select from subscription.answer');
  expect(answers.rows).toEqual([]);
  for (const shown of [secret, rotated.secret]) {
    expect(all.includes(shown)).toBe(false);
    expect(all.includes(Buffer.from(shown.slice('whsec_'.length), 'base64'))).toBe(false);
  }
  for (const { ciphertext } of await readCiphertexts()) {
    expect(all.includes(ciphertext)).toBe(false);
  }
});
