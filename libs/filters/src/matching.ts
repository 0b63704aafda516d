import type { Bound, Condition, RangeOperator, Scalar, Test } from './condition.ts';
import { readSameTimeMs } from './time.ts';

/** What a filter judges: the body of a webhook, decoded. */
export interface FilteredEvent {
  readonly event: string;
  readonly data: unknown;
}

type Judge<Judged> = (judged: Judged) => boolean;

/** Makes the function that says whether a condition holds of an event. It never throws. */
export function compile(condition: Condition): Judge<FilteredEvent> {
  switch (condition.kind) {
    case 'and': {
      const all = condition.conditions.map(compile);
      return (event) => all.every((holds) => holds(event));
    }
    case 'or': {
      const any = condition.conditions.map(compile);
      return (event) => any.some((holds) => holds(event));
    }
    case 'not': {
      const holds = compile(condition.condition);
      return (event) => !holds(event);
    }
    case 'term': {
      const { path } = condition;
      const passes = compileTest(condition.test);
      return (event) => passes(valueAt(event, path));
    }
  }
}

/** @returns undefined where there is nothing: JSON has no such value. */
function valueAt(event: FilteredEvent, path: readonly string[]): unknown {
  let value: unknown = event;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    // What every object inherits is no part of the event.
    if (!Object.hasOwn(value, name)) return undefined;
    value = Reflect.get(value, name);
  }
  return value;
}

function compileTest(test: Test): Judge<unknown> {
  switch (test.kind) {
    case 'any_of': {
      const values: ReadonlySet<unknown> = new Set<Scalar>(test.values);
      return (value) => values.has(value);
    }
    case 'prefix':
      return (value) => typeof value === 'string' && value.startsWith(test.prefix);
    case 'exists':
      return (value) => (value !== undefined) === test.expected;
    case 'range':
      return compileRange(test.operator, test.bound);
  }
}

function compileRange(operator: RangeOperator, bound: Bound): Judge<unknown> {
  if (bound.kind === 'number') {
    return (value) => typeof value === 'number' && compare[operator](value, bound.value);
  }
  return (value) => {
    const timeMs = typeof value === 'string' ? readSameTimeMs(value) : undefined;
    return timeMs !== undefined && compare[operator](timeMs, bound.timeMs);
  };
}

const compare: Readonly<Record<RangeOperator, (value: number, bound: number) => boolean>> = {
  gt: (value, bound) => value > bound,
  gte: (value, bound) => value >= bound,
  lt: (value, bound) => value < bound,
  lte: (value, bound) => value <= bound,
};
