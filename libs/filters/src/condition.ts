/**
 * A filter, once it is read: what must hold of an event. docs/filters.md describes the form in which
 * it is written.
 */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly conditions: readonly Condition[] }
  | { readonly kind: 'not'; readonly condition: Condition }
  /** One test of one value. */
  | { readonly kind: 'term'; readonly path: readonly string[]; readonly test: Test };

/** What a value is tested for. All but `exists` fail on a value that is not there. */
export type Test =
  | { readonly kind: 'any_of'; readonly values: readonly Scalar[] }
  | { readonly kind: 'prefix'; readonly prefix: string }
  | { readonly kind: 'exists'; readonly expected: boolean }
  | { readonly kind: 'range'; readonly operator: RangeOperator; readonly bound: Bound };

export type Scalar = string | number | boolean | null;

export type RangeOperator = 'gt' | 'gte' | 'lt' | 'lte';

/**
 * Numbers are compared with numbers, times with times: as texts, a time with a fraction of a second
 * would come before the full second that it follows.
 */
export type Bound =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'time'; readonly timeMs: number };
