import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedKafkaError } from './errors.ts';
import type { BrokerFiles } from './left-broker.ts';
import { findFreePort } from './ports.ts';
import { JVM_FLAGS } from './programs.ts';
import { brokerProperties } from './properties.ts';

const run = promisify(execFile);

const FORMAT_TIMEOUT_MS = 60_000;
const CLUSTER_ID_BYTES = 16;

/**
 * Formats the data folder of a broker once; what was formatted before keeps what it has. It is made
 * beside its place and moved there, so that one whose making was interrupted is never used.
 *
 * @throws EmbeddedKafkaError with what Kafka said.
 */
export async function formatStorage(files: BrokerFiles, classpath: string): Promise<void> {
  if (await stat(files.data).then(Boolean, () => false)) return;
  const unfinished = join(files.folder, 'unfinished-data');
  const properties = join(files.folder, 'format.properties');
  await rm(unfinished, { recursive: true, force: true });
  const ports = { port: await findFreePort(), controllerPort: await findFreePort() };
  await writeFile(properties, brokerProperties({ data: unfinished, ...ports }));
  const clusterId = randomBytes(CLUSTER_ID_BYTES).toString('base64url');
  // As one word: an id that begins with a dash would be taken for an option.
  const args = ['kafka.tools.StorageTool', 'format', `--cluster-id=${clusterId}`, '-c', properties];
  try {
    await run('java', [...JVM_FLAGS, '-cp', classpath, ...args], { timeout: FORMAT_TIMEOUT_MS });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EmbeddedKafkaError(`Kafka could not format ${files.folder}: ${reason}`, { cause });
  }
  await rename(unfinished, files.data);
  await rm(properties);
}
