import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { measureLanes } from './lanes.ts';
import { measureMemory } from './memory.ts';
import { measureThroughput } from './throughput.ts';

/** Measures the whole system: `npm run bench -- throughput [--json FILE]`. */
const benchmarks: Readonly<Record<string, () => Promise<readonly object[]>>> = {
  throughput: measureThroughput,
  memory: measureMemory,
  lanes: measureLanes,
};

const { values, positionals } = parseArgs({
  options: { json: { type: 'string' } },
  allowPositionals: true,
});
const [name = ''] = positionals;
const measure = benchmarks[name];
if (measure === undefined) {
  console.error(
    `Usage: npm run bench -- NAME [--json FILE]; NAME is one of ${Object.keys(benchmarks).join(', ')}`,
  );
  process.exit(2);
}
const rows = await measure();
const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`;
console.log(machine);
console.table(rows);
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify({ name, machine, rows }));
