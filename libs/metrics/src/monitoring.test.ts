import { expect, test, vi } from 'vitest';
import { createMonitoring } from './index.ts';

/** The lines of one metric. */
async function linesOf(monitoring: ReturnType<typeof createMonitoring>, name: string) {
  const lines = (await monitoring.text()).split('\n');
  return lines.filter((line) => line.startsWith(name) || line.startsWith(`# TYPE ${name}`));
}

test('counters of one name differ in their labels, and begin at nothing', async () => {
  const monitoring = createMonitoring();
  const made = (color: string) =>
    monitoring.addCounter({ name: 'x_total', help: 'Things.', labels: { color } });
  const red = made('red');
  made('blue');
  red.add(1);
  red.add(2);
  expect(await linesOf(monitoring, 'x_total')).toEqual([
    '# TYPE x_total counter',
    'x_total{color="red"} 3',
    'x_total{color="blue"} 0',
  ]);
  expect(await linesOf(monitoring, 'x_total')).toContain('x_total{color="red"} 3');
});

test('a histogram counts up to each bound, the bound included, and beyond all of them', async () => {
  const monitoring = createMonitoring();
  const buckets = [0.5, 1];
  const plain = monitoring.addHistogram({ name: 'plain', help: 'Some.', buckets });
  const quoted = { name: 'quoted', help: 'Some.', buckets, labels: { of: 'a "b"' } };
  monitoring.addHistogram(quoted).observe(7);
  for (const value of [0.25, 0.5, 0.75, 2]) plain.observe(value);
  expect(await linesOf(monitoring, 'plain')).toEqual([
    '# TYPE plain histogram',
    'plain_bucket{le="0.5"} 2',
    'plain_bucket{le="1"} 3',
    'plain_bucket{le="+Inf"} 4',
    'plain_sum 3.5',
    'plain_count 4',
  ]);
  expect(await linesOf(monitoring, 'quoted')).toEqual([
    '# TYPE quoted histogram',
    String.raw`quoted_bucket{of="a \"b\"",le="0.5"} 0`,
    String.raw`quoted_bucket{of="a \"b\"",le="1"} 0`,
    String.raw`quoted_bucket{of="a \"b\"",le="+Inf"} 1`,
    String.raw`quoted_sum{of="a \"b\""} 7`,
    String.raw`quoted_count{of="a \"b\""} 1`,
  ]);
});

test('gauges that are read from one look see the same, and a new one each time', async () => {
  const monitoring = createMonitoring();
  let looks = 0;
  monitoring.addGauges(
    () => ({ look: (looks += 1) }),
    [
      { name: 'one', help: 'One.', read: ({ look }) => look },
      { name: 'other', help: 'Other.', label: 'lane', read: ({ look }) => new Map([[3, look]]) },
    ],
  );
  expect(looks).toBe(0);
  expect(await linesOf(monitoring, 'o')).toEqual([
    '# TYPE one gauge',
    'one 1',
    '# TYPE other gauge',
    'other{lane="3"} 1',
  ]);
  expect(await linesOf(monitoring, 'o')).toContain('other{lane="3"} 2');
});

test('a number that cannot be read hides no other, and is asked for once at a time', async () => {
  const monitoring = createMonitoring();
  const never = vi.fn(() => new Promise<number>(() => undefined));
  monitoring.addGauge({ name: 'late', help: 'Late.', labels: { of: 'a' } }, never);
  monitoring.addGauge({ name: 'late', help: 'Late.', labels: { of: 'b' } }, () => 2);
  monitoring.addGauge({ name: 'lost', help: 'Lost.' }, () => Promise.reject(new Error('away')));
  monitoring.addLabelledGauge({ name: 'none', help: 'None.', label: 'lane' }, () => {
    throw new Error('away');
  });
  vi.useFakeTimers();
  const readings = [linesOf(monitoring, 'l'), linesOf(monitoring, 'none')];
  await vi.advanceTimersByTimeAsync(5_000);
  vi.useRealTimers();
  expect(await readings[0]).toEqual([
    '# TYPE late gauge',
    'late{of="a"} Nan',
    'late{of="b"} 2',
    '# TYPE lost gauge',
    'lost Nan',
  ]);
  expect(await readings[1]).toEqual(['# TYPE none gauge']);
  expect(never).toHaveBeenCalledTimes(1);
});

test('a problem that several checks find is said once', async () => {
  const monitoring = createMonitoring();
  monitoring.addCheck(() => 'Postgres does not answer');
  monitoring.addCheck(() => Promise.resolve('Postgres does not answer'));
  monitoring.addCheck(() => undefined);
  expect(await monitoring.problems()).toEqual(['Postgres does not answer']);
});
