import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, realpath, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmbeddedKafkaError } from './errors.ts';
import { fetchJars } from './jars.ts';
import { brokerFiles, findRunning } from './left-broker.ts';
import type { BrokerFiles } from './left-broker.ts';
import { findFreePort, isFree } from './ports.ts';
import { brokerAnswers } from './probe.ts';
import { hasSetpriv, JVM_FLAGS, whyNoKafka } from './programs.ts';
import { brokerProperties } from './properties.ts';
import { formatStorage } from './storage.ts';

export interface KafkaBrokerOptions {
  /** Everything of the broker is kept here; it is made if it is missing. */
  readonly folder: string;
  /** The port of loopback on which it listens. By default one that is free at the first start. */
  readonly port?: number;
}

/** A broker on loopback, in a process of its own. Its port and data stay from the first start on. */
export interface KafkaBroker {
  /** `host:port`, for `BILLHOOK_KAFKA_BROKERS`. It is known for good once the broker has started. */
  readonly brokers: string;
  /** The process id while it runs. */
  readonly pid: number | undefined;
  /**
   * Starts it and waits until it answers.
   *
   * @throws EmbeddedKafkaError when one runs on the folder already, or with what Kafka said.
   */
  start(): Promise<void>;
  /** Ends it in order (SIGTERM). */
  stop(): Promise<void>;
  /** Ends it at once (SIGKILL). */
  kill(): Promise<void>;
}

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const POLL_MS = 20;

const LARGEST_LOG_BYTES = 10 * 1024 * 1024;
const SHOWN_LOG_BYTES = 16_384;
const SHOWN_LOG_LINES = 20;
const STACK_LINE = /^\s*(at |\.\.\. \d+ more)/;

/**
 * Prepares a broker: fetches its jars and formats its folder. It is not started yet. Where the system
 * can tie a process to its parent, the broker ends with this process, however that ends.
 *
 * @throws EmbeddedKafkaError when Java or Maven is missing, or the jars cannot be fetched.
 */
export async function createKafkaBroker(options: KafkaBrokerOptions): Promise<KafkaBroker> {
  const missing = await whyNoKafka();
  if (missing !== undefined) throw new EmbeddedKafkaError(missing);
  const classpath = join(await fetchJars(), '*');
  await mkdir(options.folder, { recursive: true });
  const files = brokerFiles(await realpath(options.folder));
  const place = { files, port: options.port ?? (await findFreePort()) };
  await formatStorage(files, classpath);
  const java = ['java', ...JVM_FLAGS, '-cp', classpath, 'kafka.Kafka', files.properties];
  const command = (await hasSetpriv()) ? ['setpriv', '--pdeathsig', 'KILL', ...java] : java;
  return brokerOf({ ...place, command }, { mayMove: options.port === undefined });
}

interface BrokerPlace {
  readonly files: BrokerFiles;
  readonly port: number;
  readonly command: readonly string[];
}

/** Until Java listens on a port that was free, others may take it: so often another one is tried. */
const MOST_PORTS = 3;
const PORT_TAKEN = /Address already in use/;

function brokerOf(chosen: BrokerPlace, { mayMove }: { readonly mayMove: boolean }): KafkaBroker {
  let place = chosen;
  let portsLeft = mayMove ? MOST_PORTS : 1;
  let started: ChildProcess | undefined;
  const running = (): ChildProcess | undefined =>
    started !== undefined && !hasEnded(started) ? started : undefined;

  async function end(signal: NodeJS.Signals): Promise<void> {
    const child = running();
    if (child === undefined) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  }

  /** Returns false when somebody else has its port, and it may have another one. */
  async function startHere(): Promise<boolean> {
    if (!(await isFree(place.port))) {
      if (portsLeft > 1) return false;
      throw new EmbeddedKafkaError(
        `Kafka cannot listen on 127.0.0.1:${place.port}: end what does, or choose another port.`,
      );
    }
    const logStart = await sizeOf(place.files.log);
    started = await launch(place);
    try {
      await waitUntilReady(started, place.port);
      return true;
    } catch (cause) {
      await end('SIGKILL');
      const said = await readLog(place.files.log, logStart);
      if (portsLeft > 1 && PORT_TAKEN.test(said)) return false;
      throw new EmbeddedKafkaError(`Kafka did not start on ${place.files.folder}: ${said}`, {
        cause,
      });
    }
  }

  return {
    get brokers() {
      return `127.0.0.1:${place.port}`;
    },
    get pid() {
      return running()?.pid;
    },
    async start() {
      await expectStopped(place);
      while (!(await startHere())) {
        portsLeft -= 1;
        place = { ...place, port: await findFreePort() };
      }
      // Those who use it know where it is from now on.
      portsLeft = 1;
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

async function expectStopped({ files }: BrokerPlace): Promise<void> {
  const pid = await findRunning(files);
  if (pid !== undefined) {
    throw new EmbeddedKafkaError(
      `A Kafka broker with process id ${pid} runs on ${files.folder} already: end it first.`,
    );
  }
}

async function launch({ files, port, command }: BrokerPlace): Promise<ChildProcess> {
  const [program = '', ...args] = command;
  const controllerPort = await findFreePort();
  await writeFile(files.properties, brokerProperties({ data: files.data, port, controllerPort }));
  // Begins anew when it has grown large: it is for looking into, not for keeping.
  const isLarge = (await sizeOf(files.log)) > LARGEST_LOG_BYTES;
  const log = await open(files.log, isLarge ? 'w' : 'a');
  try {
    // In a session of its own: Ctrl-C of a terminal must not reach it before those who use it.
    const child = spawn(program, args, { stdio: ['ignore', log.fd, log.fd], detached: true });
    await once(child, 'spawn');
    await writeFile(files.pid, String(child.pid));
    return child;
  } finally {
    await log.close();
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function waitUntilReady(child: ChildProcess, port: number): Promise<void> {
  const giveUpAtMs = performance.now() + READY_TIMEOUT_MS;
  while (!(await brokerAnswers('127.0.0.1', port))) {
    if (hasEnded(child)) throw new Error('the broker ended');
    if (performance.now() > giveUpAtMs) throw new Error('the broker was not ready in time');
    await sleep(POLL_MS);
  }
}

/** @returns the last lines that were written since, without the frames of stack traces. */
async function readLog(path: string, from: number): Promise<string> {
  const log = await open(path, 'r');
  try {
    const size = (await log.stat()).size;
    const position = Math.max(size < from ? 0 : from, size - SHOWN_LOG_BYTES);
    const { buffer, bytesRead } = await log.read(Buffer.alloc(SHOWN_LOG_BYTES), { position });
    const lines = buffer.toString('utf8', 0, bytesRead).trim().split('\n');
    return lines
      .filter((line) => !STACK_LINE.test(line))
      .slice(-SHOWN_LOG_LINES)
      .join('\n');
  } finally {
    await log.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
