import type { Client, Pool } from '@billhook/postgres';
import type { StoredSecret } from '../protobuf/endpoint-message.ts';
import { fromUuid, toUuid } from './ids.ts';
import { SCHEMA } from './migrations.ts';

/**
 * Whoever rotates more often than this within the validity of the secrets before takes the oldest
 * ones away: each makes every delivery carry one more signature.
 */
const MAX_SECRETS_PER_ENDPOINT = 5;

/** A secret with its endpoint. */
export interface EndpointSecret extends StoredSecret {
  readonly endpointId: string;
}

/** Ends the validity of all secrets then, unless it ends before. */
export async function expireSecrets(
  client: Client,
  expiries: readonly { readonly endpointId: string; readonly validUntilMs: number }[],
): Promise<void> {
  await client.query({
    name: 'expire_secrets',
    text: `
update ${SCHEMA}.secret set valid_until_ms = least(secret.valid_until_ms, expiry.valid_until_ms)
from unnest($1::uuid[], $2::bigint[]) as expiry (endpoint_id, valid_until_ms)
where secret.endpoint_id = expiry.endpoint_id`,
    values: [
      expiries.map(({ endpointId }) => toUuid(endpointId)),
      expiries.map(({ validUntilMs }) => validUntilMs),
    ],
  });
}

/** Adds secrets, the oldest of an endpoint first, and takes away what an endpoint has too many. */
export async function insertSecrets(
  client: Client,
  secrets: readonly EndpointSecret[],
): Promise<void> {
  const inserted = client.query({
    name: 'insert_secrets',
    text: `
insert into ${SCHEMA}.secret (endpoint_id, ciphertext, valid_until_ms)
select endpoint_id, ciphertext, valid_until_ms
from unnest($1::uuid[], $2::bytea[], $3::bigint[]) with ordinality
  as added (endpoint_id, ciphertext, valid_until_ms, number)
order by number`,
    values: [
      secrets.map(({ endpointId }) => toUuid(endpointId)),
      secrets.map(({ ciphertext }) => ciphertext),
      secrets.map(({ validUntilMs }) => validUntilMs),
    ],
  });
  const trimmed = client.query({
    name: 'trim_secrets',
    text: `
delete from ${SCHEMA}.secret using (
  select secret_id, row_number() over (partition by endpoint_id order by secret_id desc) as age
  from ${SCHEMA}.secret where endpoint_id = any($1::uuid[])
) as ranked
where ranked.secret_id = secret.secret_id and ranked.age > $2`,
    values: [secrets.map(({ endpointId }) => toUuid(endpointId)), MAX_SECRETS_PER_ENDPOINT],
  });
  await Promise.all([inserted, trimmed]);
}

/** Removes every secret of the endpoints. */
export async function deleteSecrets(client: Client, endpointIds: readonly string[]): Promise<void> {
  await client.query({
    name: 'delete_secrets',
    text: `delete from ${SCHEMA}.secret where endpoint_id = any($1::uuid[])`,
    values: [endpointIds.map(toUuid)],
  });
}

/** Removes the secrets whose validity has ended. */
export async function deleteExpiredSecrets(pool: Pool): Promise<void> {
  await pool.query(
    `delete from ${SCHEMA}.secret
     where valid_until_ms <= extract(epoch from clock_timestamp()) * 1000`,
  );
}

/** A secret as the rotation of keys sees it. */
export interface SecretRecord {
  readonly secretId: bigint;
  readonly endpointId: string;
  readonly ciphertext: Buffer;
}

/** Reads secrets behind an id, in the order of their ids. */
export async function selectSecrets(
  pool: Pool,
  range: { readonly after: bigint; readonly limit: number },
): Promise<readonly SecretRecord[]> {
  const { rows } = await pool.query<SecretRow>({
    name: 'select_secrets',
    text: `
select secret_id, endpoint_id, ciphertext from ${SCHEMA}.secret
where secret_id > $1 order by secret_id limit $2`,
    values: [range.after, range.limit],
  });
  return rows.map(({ secret_id: secretId, endpoint_id, ciphertext }) => ({
    secretId,
    endpointId: fromUuid(endpoint_id),
    ciphertext,
  }));
}

/** Stores the same secret under another key. */
export async function replaceCiphertexts(
  pool: Pool,
  secrets: readonly SecretRecord[],
): Promise<void> {
  await pool.query({
    name: 'replace_ciphertexts',
    text: `
update ${SCHEMA}.secret set ciphertext = renewed.ciphertext
from unnest($1::bigint[], $2::bytea[]) as renewed (secret_id, ciphertext)
where secret.secret_id = renewed.secret_id`,
    values: [secrets.map(({ secretId }) => secretId), secrets.map(({ ciphertext }) => ciphertext)],
  });
}

interface SecretRow {
  readonly secret_id: bigint;
  readonly endpoint_id: string;
  readonly ciphertext: Buffer;
}
