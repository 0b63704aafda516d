import { expect, test } from 'vitest';
import { metricsPlaceOf } from './places.ts';

test.for([
  ['127.0.0.1:9464', 7, '127.0.0.1:9471'],
  ['[::1]:9099', 1, '[::1]:9100'],
  ['127.0.0.1:0', 7, '127.0.0.1:0'],
] as const)(
  'after a first copy at %s, copy %i serves its metrics at %s',
  ([first, index, place]) => {
    expect(metricsPlaceOf(first, 0)).toBe(first);
    expect(metricsPlaceOf(first, index)).toBe(place);
  },
);
