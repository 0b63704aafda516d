import { defineConfig } from 'vitest/config';

/**
 * The suite of `tests/end-to-end` runs on a system of one process and on a cluster. These files make
 * a system of their own, so that once is enough; those in `tests/cluster` and `tests/chaos` need one.
 */
const notOnCluster = [
  'environment-proxies',
  'lifecycle',
  'separate-services',
  'late-registrations',
  'metrics',
].map((name) => `tests/end-to-end/${name}.test.ts`);
const onlyOnCluster = ['tests/{cluster,chaos}/*.test.ts'];

/**
 * Tests by what they need: nothing, a real Postgres, Kafka, or the whole system. Where there are many
 * files, one process runs them all: to start one for each takes longer than most of them.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{libs,services}/*/src/**/*.test.ts', 'scripts/**/*.test.ts'],
          exclude: ['**/*.int.test.ts', '**/*.kafka.test.ts', '**/node_modules/**'],
          // Properties take their time on a busy machine.
          testTimeout: 60_000,
          isolate: false,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['{libs,services}/*/src/**/*.int.test.ts'],
          globalSetup: ['libs/testing/src/global-setup.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          isolate: false,
        },
      },
      {
        test: {
          name: 'kafka',
          include: ['{libs,services}/*/src/**/*.kafka.test.ts'],
          globalSetup: ['libs/testing/src/global-setup.ts', 'libs/testing/src/kafka-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['tests/end-to-end/*.test.ts', ...onlyOnCluster],
          exclude: notOnCluster,
          provide: { topology: 'cluster' },
          globalSetup: ['libs/testing/src/global-setup.ts', 'libs/testing/src/kafka-setup.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'end-to-end',
          include: ['tests/**/*.test.ts'],
          exclude: onlyOnCluster,
          provide: { topology: 'standalone' },
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
