import { within } from '@billhook/runtime';
import { Gauge, type Registry } from 'prom-client';
import { createFamilies, type Labels, type Metric } from './metric.ts';

/** Adds gauges, which are read whenever the metrics are asked for. */
export interface Gauges {
  /** Adds a number; NaN if it cannot be read in time. */
  readonly addGauge: (metric: Metric, read: () => number | Promise<number>) => void;
  /** Adds numbers by the values of one more label; none if they cannot be read in time. */
  readonly addLabelledGauge: (
    metric: LabelledMetric,
    read: () => NumbersByValue | Promise<NumbersByValue>,
  ) => void;
}

export interface LabelledMetric extends Metric {
  readonly label: string;
}

export type NumbersByValue = ReadonlyMap<string | number, number>;

/** What somebody who asks for the metrics waits at most for a number that is read from elsewhere. */
const PATIENCE_MS = 2_000;

type Values = readonly (readonly [Labels, number])[];

/** Makes the gauges of a registry. */
export function createGauges(registry: Registry): Gauges {
  const readersOf = createFamilies(({ name, help, labels = {} }) => {
    const readers: (() => Promise<Values>)[] = [];
    const collect = async (): Promise<void> => {
      const values = await Promise.all(readers.map((read) => read()));
      gauge.reset();
      for (const [its, value] of values.flat()) gauge.set(its, value);
    };
    const labelNames = Object.keys(labels);
    const gauge = new Gauge({ name, help, labelNames, registers: [registry], collect });
    return readers;
  });
  return {
    addGauge(metric, read) {
      const { labels = {} } = metric;
      const readValues = async (): Promise<Values> => [[labels, await read()]];
      readersOf(metric).push(patiently(readValues, [[labels, Number.NaN]]));
    },
    addLabelledGauge({ label, ...metric }, read) {
      const labelled = (value: string | number) => ({ ...metric.labels, [label]: String(value) });
      const readValues = async (): Promise<Values> => {
        const numbers = await read();
        return [...numbers].map(([value, number]) => [labelled(value), number]);
      };
      readersOf({ ...metric, labels: labelled('') }).push(patiently(readValues, []));
    },
  };
}

/** One reading at a time, so that they do not pile up while nobody answers. */
function patiently(read: () => Promise<Values>, otherwise: Values): () => Promise<Values> {
  let underWay: Promise<Values> | undefined;
  return async () => {
    underWay ??= read()
      .catch(() => otherwise)
      .finally(() => {
        underWay = undefined;
      });
    return within(underWay, PATIENCE_MS, () => otherwise);
  };
}
