/** One series of a metric. Those of one name have the same labels, with other values. */
export interface Metric {
  /** After Prometheus' conventions, such as `billhook_relay_lag_events`. */
  readonly name: string;
  readonly help: string;
  readonly labels?: Labels;
}

/** Values by the names of their labels; each from a list that the code knows, never from a caller. */
export type Labels = Readonly<Record<string, string>>;

/** Finds the family of a metric by its name, or makes it for the first of its series. */
export function createFamilies<Family>(
  make: (metric: Metric) => Family,
): (metric: Metric) => Family {
  const families = new Map<string, Family>();
  return (metric) => {
    let family = families.get(metric.name);
    if (family === undefined) {
      family = make(metric);
      families.set(metric.name, family);
    }
    return family;
  };
}
