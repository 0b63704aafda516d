/**
 * Measures Billhook, and what bounds it, in the same run:
 * `npm run bench -- NAME [--json FILE] [--rounds N] [--quick | --full]`. It runs on Linux.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Benchmark, BenchmarkRun, Table } from './benchmark.ts';
import { measureBacklog } from './backlog.ts';
import { measureDeliveries } from './deliveries.ts';
import { measureEndToEnd } from './end-to-end.ts';
import { describeMachine, showMachine } from './measuring/machine.ts';
import type { Machine } from './measuring/machine.ts';
import { formatTable } from './measuring/table.ts';
import { measureLanes } from './lanes.ts';
import { measureMutations } from './mutations.ts';
import { measureNeighbours } from './neighbours.ts';
import { scaleBenchmarks } from './scale/scale.ts';
import { measureStart } from './start.ts';
import { measureThroughput } from './throughput.ts';

const benchmarks: Readonly<Record<string, Benchmark>> = {
  deliveries: measureDeliveries,
  mutations: measureMutations,
  throughput: measureThroughput,
  'end-to-end': measureEndToEnd,
  neighbours: measureNeighbours,
  backlog: measureBacklog,
  ...scaleBenchmarks,
  start: measureStart,
  lanes: measureLanes,
};

const USAGE = `Usage: npm run bench -- NAME [--json FILE] [--rounds N] [--quick | --full]
NAME is one of ${Object.keys(benchmarks).join(', ')}.`;

const DIGITS = 6;
const JSON_INDENT = 2;

const EXIT_CODE = { done: 0, failed: 1, misused: 2, interrupted: 130 } as const;

type Asked = Pick<BenchmarkRun, 'size' | 'rounds'> & {
  readonly name: string;
  readonly measure: Benchmark;
  readonly json: string | undefined;
};

const asked = readArguments();
if (asked === undefined) {
  console.error(USAGE);
  process.exit(EXIT_CODE.misused);
}
process.exit(await run(asked));

/** @returns undefined for arguments that ask for nothing that is known. */
function readArguments(): Asked | undefined {
  try {
    const { values, positionals } = parseArgs({
      options: {
        json: { type: 'string' },
        rounds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        full: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    });
    const [name = '', ...more] = positionals;
    const measure = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
    const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
    const isCountable = rounds === undefined || (Number.isInteger(rounds) && rounds > 0);
    if (measure === undefined || more.length > 0 || !isCountable) return undefined;
    if (values.quick && values.full) return undefined;
    const size = values.quick ? 'quick' : values.full ? 'full' : 'usual';
    return { name, measure, rounds, size, json: values.json };
  } catch {
    return undefined;
  }
}

/** Whatever was started is ended, also after an error or a signal. Returns the exit code. */
async function run({ measure, size, rounds, name, json }: Asked): Promise<number> {
  const machine = describeMachine();
  const opened = new AsyncDisposableStack();
  const interrupted = Promise.withResolvers<'interrupted'>();
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => interrupted.resolve('interrupted'));
  }
  const measuring = measure({ size, rounds, opened, say });
  try {
    const tables = await Promise.race([measuring, interrupted.promise]);
    if (tables === 'interrupted') {
      // What it is doing fails as soon as what it needs is closed.
      measuring.catch(() => undefined);
      return EXIT_CODE.interrupted;
    }
    show(tables, { name, size, json, machine });
    return EXIT_CODE.done;
  } catch (error) {
    console.error(error);
    return EXIT_CODE.failed;
  } finally {
    await opened.disposeAsync();
  }
}

function show(
  tables: readonly Table[],
  { name, size, json, machine }: Pick<Asked, 'name' | 'size' | 'json'> & { machine: Machine },
): void {
  console.log(`\n${name} (${size}): ${showMachine(machine)}`);
  for (const { title, rows } of tables) console.log(`\n${title}\n\n${formatTable(rows)}`);
  if (json === undefined) return;
  const text = JSON.stringify({ name, size, machine, tables }, shorten, JSON_INDENT);
  writeFileSync(json, `${text}\n`);
}

/** No more digits than anybody can measure. */
function shorten(_name: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(DIGITS)) : value;
}

/** Keeps the table on standard output by itself. */
function say(line: string): void {
  console.error(line);
}
