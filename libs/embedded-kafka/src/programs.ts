import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Kafka 4 needs it (kafka.apache.org, "Java Version"). */
const OLDEST_JAVA = 17;
const VERSION_TIMEOUT_MS = 30_000;

/** Small, quick to start, and quiet: a broker serves one machine. */
export const JVM_FLAGS: readonly string[] = [
  '-Xmx512m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
];

/**
 * Says in a sentence why no broker can be run here: Java or Maven is missing.
 *
 * @returns undefined when one can be run.
 */
export async function whyNoKafka(): Promise<string | undefined> {
  const java = await printedBy('java', ['-version']);
  if (java === undefined) return `Java is missing: install version ${OLDEST_JAVA} or newer.`;
  const version = Number(/version "(?:1\.)?(\d+)/.exec(java)?.[1]);
  if (!(version >= OLDEST_JAVA)) {
    return `Java ${version} is too old: install version ${OLDEST_JAVA} or newer.`;
  }
  const maven = await printedBy('mvn', ['--version']);
  return maven === undefined ? 'Maven is missing: install mvn.' : undefined;
}

/** Finds the program that ties a child's life to its parent's, where the system has it. */
export async function hasSetpriv(): Promise<boolean> {
  return (await printedBy('setpriv', ['--help']))?.includes('--pdeathsig') ?? false;
}

/** @returns what the program printed; undefined when it cannot be run. */
async function printedBy(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await run(program, args, { timeout: VERSION_TIMEOUT_MS });
    return stdout + stderr;
  } catch {
    return undefined;
  }
}
