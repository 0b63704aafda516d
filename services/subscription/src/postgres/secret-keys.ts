import type { Pool } from '@billhook/postgres';
import { ConfigurationError } from '@billhook/runtime';
import type { SecretBox } from '@billhook/secrets';
import { replaceHeaders, selectHeaders } from './header-table.ts';
import type { EncryptedHeaders } from './header-table.ts';
import { SCHEMA } from './migrations.ts';
import { replaceCiphertexts, selectSecrets } from './secret-table.ts';

/** What is encrypted anew at a time. */
const RENEW_AT_A_TIME = 500;

/**
 * Refuses keys that cannot open the secrets in the database. The first start writes down by what
 * its key is known again.
 *
 * @throws ConfigurationError that names the variable.
 */
export async function requireRightKey(pool: Pool, secretBox: SecretBox): Promise<void> {
  await pool.query(
    `insert into ${SCHEMA}.key_check (check_value) values ($1) on conflict do nothing`,
    [secretBox.createCheckValue()],
  );
  if (!secretBox.verifies(await readCheckValue(pool))) {
    throw new ConfigurationError(
      'BILLHOOK_SECRET_KEY is not the key with which the secrets in this database are encrypted: ' +
        'set it to that key, or to the new key and that one, separated by a comma.',
    );
  }
}

/**
 * Encrypts with the first key what was encrypted with another one, and then knows the first key
 * alone: the others may be taken out of the configuration of every process.
 */
export async function renewSecrets(pool: Pool, secretBox: SecretBox): Promise<void> {
  await renewSigningSecrets(pool, secretBox);
  await renewHeaders(pool, secretBox);
  if (!secretBox.isCurrent(await readCheckValue(pool))) {
    const checkValue = secretBox.createCheckValue();
    await pool.query(`update ${SCHEMA}.key_check set check_value = $1`, [checkValue]);
  }
}

async function renewSigningSecrets(pool: Pool, secretBox: SecretBox): Promise<void> {
  let after = 0n;
  for (;;) {
    const secrets = await selectSecrets(pool, { after, limit: RENEW_AT_A_TIME });
    const outdated = secrets.filter(({ ciphertext }) => !secretBox.isCurrent(ciphertext));
    const renewed = outdated.map(({ secretId, endpointId, ciphertext }) => {
      const secret = secretBox.decrypt(ciphertext, endpointId);
      return { secretId, endpointId, ciphertext: secretBox.encrypt(secret, endpointId) };
    });
    if (renewed.length > 0) {
      await replaceCiphertexts(pool, renewed);
    }
    const last = secrets.at(-1);
    if (last === undefined) {
      return;
    }
    after = last.secretId;
  }
}

async function renewHeaders(pool: Pool, secretBox: SecretBox): Promise<void> {
  let after: string | null = null;
  for (;;) {
    const found: readonly EncryptedHeaders[] = await selectHeaders(pool, {
      after,
      limit: RENEW_AT_A_TIME,
    });
    const outdated = found.filter(({ ciphertext }) => !secretBox.isCurrent(ciphertext));
    const renewed = outdated.map(({ endpointId, ciphertext: before }) => {
      const headers = secretBox.decryptHeaders(before, endpointId);
      return { endpointId, before, ciphertext: secretBox.encryptHeaders(headers, endpointId) };
    });
    if (renewed.length > 0) {
      await replaceHeaders(pool, renewed);
    }
    const last = found.at(-1);
    if (last === undefined) {
      return;
    }
    after = last.endpointId;
  }
}

async function readCheckValue(pool: Pool): Promise<Buffer> {
  const { rows } = await pool.query<{ readonly check_value: Buffer }>(
    `select check_value from ${SCHEMA}.key_check`,
  );
  const [row] = rows;
  if (row === undefined) {
    throw new Error(`Schema ${SCHEMA} has no check value of the key`);
  }
  return row.check_value;
}
