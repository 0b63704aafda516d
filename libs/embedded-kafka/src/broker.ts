import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { EmbeddedKafkaError } from './errors.ts';
import { fetchJars } from './jars.ts';
import { hasSetpriv, whyNoKafka } from './programs.ts';
import { brokerProperties } from './properties.ts';

const run = promisify(execFile);

export interface KafkaBrokerOptions {
  /** Everything of the broker is kept here; it is made if it is missing. */
  readonly folder: string;
  /** The port of loopback on which it listens; a free one by default. */
  readonly port?: number;
}

/** A broker on loopback, in a process of its own. Its port and data stay from start to start. */
export interface KafkaBroker {
  /** `host:port`, for `BILLHOOK_KAFKA_BROKERS`. */
  readonly brokers: string;
  /** The process id while it runs. */
  readonly pid: number | undefined;
  /** Starts it and waits until it takes connections. */
  start(): Promise<void>;
  /** Ends it in order (SIGTERM). */
  stop(): Promise<void>;
  /** Ends it at once (SIGKILL). */
  kill(): Promise<void>;
}

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const FORMAT_TIMEOUT_MS = 60_000;
const POLL_MS = 20;
const SHOWN_LOG_BYTES = 4_000;

/** Small, quick to start, and quiet: it serves one machine. */
const JVM_FLAGS = [
  '-Xmx512m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
];

/**
 * Prepares a broker: fetches its jars and formats its folder. It is not started yet.
 *
 * @throws EmbeddedKafkaError when Java or Maven is missing, or the jars cannot be fetched.
 */
export async function createKafkaBroker(options: KafkaBrokerOptions): Promise<KafkaBroker> {
  const missing = await whyNoKafka();
  if (missing !== undefined) throw new EmbeddedKafkaError(missing);
  const { folder } = options;
  const classpath = join(await fetchJars(), '*');
  await mkdir(folder, { recursive: true });
  const port = options.port ?? (await findFreePort());
  const properties = join(folder, 'server.properties');
  const controllerPort = await findFreePort();
  await writeFile(properties, brokerProperties({ folder, port, controllerPort }));
  await format({ folder, properties, classpath });
  const java = ['java', ...JVM_FLAGS, '-cp', classpath, 'kafka.Kafka', properties];
  const command = (await hasSetpriv()) ? ['setpriv', '--pdeathsig', 'KILL', ...java] : java;
  return brokerOf({ folder, port, command });
}

function brokerOf(place: {
  readonly folder: string;
  readonly port: number;
  readonly command: readonly string[];
}): KafkaBroker {
  const { folder, port, command } = place;
  const logFile = join(folder, 'broker.log');
  let running: ChildProcess | undefined;

  async function end(signal: NodeJS.Signals): Promise<void> {
    const child = running;
    if (child === undefined) return;
    const ended = hasEnded(child) ? Promise.resolve() : once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
    running = undefined;
  }

  return {
    brokers: `127.0.0.1:${port}`,
    get pid() {
      return running?.pid;
    },
    async start() {
      if (running !== undefined && !hasEnded(running)) throw new Error('The broker runs already.');
      running = await launch(command, logFile);
      try {
        await waitUntilReady(running, port);
      } catch (error) {
        await end('SIGKILL');
        const message = `Kafka did not start: ${await lastOf(logFile)}`;
        throw new EmbeddedKafkaError(message, { cause: error });
      }
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

async function launch(command: readonly string[], logFile: string): Promise<ChildProcess> {
  const [program = '', ...args] = command;
  const log = await open(logFile, 'a');
  // In a session of its own: Ctrl-C of a terminal must not reach it before those who use it.
  const child = spawn(program, args, { stdio: ['ignore', log.fd, log.fd], detached: true });
  await once(child, 'spawn');
  await log.close();
  return child;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function waitUntilReady(child: ChildProcess, port: number): Promise<void> {
  const giveUpAtMs = performance.now() + READY_TIMEOUT_MS;
  while (!(await answers(port))) {
    if (hasEnded(child)) throw new Error('the broker ended');
    if (performance.now() > giveUpAtMs) throw new Error('the broker was not ready in time');
    await sleep(POLL_MS);
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Formats the data folder once; a folder that was formatted before keeps what it has. */
async function format(place: {
  readonly folder: string;
  readonly properties: string;
  readonly classpath: string;
}): Promise<void> {
  const { folder, properties, classpath } = place;
  const formatted = join(folder, 'data', 'meta.properties');
  if (await stat(formatted).then(Boolean, () => false)) return;
  const clusterId = randomBytes(16).toString('base64url');
  const tool = ['-cp', classpath, 'kafka.tools.StorageTool', 'format'];
  await run('java', [...JVM_FLAGS, ...tool, `--cluster-id=${clusterId}`, '-c', properties], {
    timeout: FORMAT_TIMEOUT_MS,
  });
}

async function lastOf(logFile: string): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  return text.slice(-SHOWN_LOG_BYTES).trim();
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was found');
  return address.port;
}
