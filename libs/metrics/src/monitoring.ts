import { Registry } from 'prom-client';
import { createCounters, type Counter } from './counters.ts';
import { createGauges, type Gauges, type LabelledMetric, type NumbersByValue } from './gauges.ts';
import { createHistograms, type Histogram, type HistogramMetric } from './histograms.ts';
import type { Metric } from './metric.ts';

/** What one process shows of itself: numbers for Prometheus, and whether it is ready. */
export interface Monitoring extends Gauges {
  /** What is asked for directly of prom-client, such as the numbers of Node. */
  readonly registry: Registry;
  /** Adds a number that only grows. */
  readonly addCounter: (metric: Metric) => Counter;
  /** Adds a distribution of values. */
  readonly addHistogram: (metric: HistogramMetric) => Histogram;
  /** Adds gauges that are read from one look, taken whenever the metrics are asked for. */
  readonly addGauges: <Look>(look: () => Look, gauges: readonly GaugeOf<Look>[]) => void;
  /** Adds a check: it says in words what keeps the process from its work, or undefined. */
  readonly addCheck: (check: Check) => void;
  /** What keeps the process from its work now; empty when it is ready. */
  readonly problems: () => Promise<readonly string[]>;
  /** All metrics in Prometheus' text format. */
  readonly text: () => Promise<string>;
}

/** It must neither throw nor wait for longer than a few seconds. */
export type Check = () => string | undefined | Promise<string | undefined>;

/** A number, or numbers by the values of a label, as they are found in a look. */
export type GaugeOf<Look> =
  | (Metric & { readonly label?: never; readonly read: (look: Look) => number })
  | (LabelledMetric & { readonly read: (look: Look) => NumbersByValue });

/** Makes the monitoring of a process. */
export function createMonitoring(): Monitoring {
  const registry = new Registry();
  const gauges = createGauges(registry);
  const histograms = createHistograms();
  const checks: Check[] = [];
  let readings = 0;

  /** All gauges of one reading see the same. */
  function oncePerReading<Look>(look: () => Look): () => Look {
    let last: { readonly reading: number; readonly look: Look } | undefined;
    return () => {
      if (last?.reading !== readings) last = { reading: readings, look: look() };
      return last.look;
    };
  }

  return {
    registry,
    ...gauges,
    addCounter: createCounters(registry),
    addHistogram: histograms.add,
    addGauges(look, all) {
      const current = oncePerReading(look);
      for (const gauge of all) {
        if (gauge.label === undefined) gauges.addGauge(gauge, () => gauge.read(current()));
        else gauges.addLabelledGauge(gauge, () => gauge.read(current()));
      }
    },
    addCheck(check) {
      checks.push(check);
    },
    async problems() {
      const found = await Promise.all(checks.map(async (check) => check()));
      return [...new Set(found.filter((problem) => problem !== undefined))];
    },
    async text() {
      readings += 1;
      return `${await registry.metrics()}\n${histograms.text()}`;
    },
  };
}
