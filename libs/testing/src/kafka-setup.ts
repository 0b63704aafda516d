import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { createKafkaBroker, whyNoKafka } from '@billhook/embedded-kafka';

/**
 * Gives the tests a broker: the one that KAFKA_BROKERS names, or else one of their own where Java and
 * Maven are. Without either, the tests that need it are skipped, and without Java and Maven those that
 * kill brokers are; with BILLHOOK_TEST_KAFKA=required that is an error.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const missing = await whyNoKafka();
  if (missing !== undefined && process.env['BILLHOOK_TEST_KAFKA'] === 'required') {
    throw new Error(`The tests must run with Kafka, and no broker can be started. ${missing}`);
  }
  project.provide('whyNoOwnKafka', missing ?? null);
  const given = process.env['KAFKA_BROKERS'];
  if (given) {
    project.provide('kafkaBrokers', given);
    return () => Promise.resolve();
  }
  if (missing !== undefined) {
    console.warn(`Tests that need Kafka are skipped. ${missing} Or set KAFKA_BROKERS.`);
    project.provide('kafkaBrokers', null);
    return () => Promise.resolve();
  }
  // Each project of a run that asks has a broker of its own.
  const folder = await mkdtemp(join(tmpdir(), 'billhook-test-kafka-'));
  const broker = await createKafkaBroker({ folder });
  await broker.start();
  project.provide('kafkaBrokers', broker.brokers);
  return async () => {
    await broker.stop();
    await rm(folder, { recursive: true, force: true });
  };
}
