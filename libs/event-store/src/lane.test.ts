import { expect, test } from 'vitest';

import { laneOf } from './lane.ts';

/** Made by another program from the rule in lane.ts. Events lie where these say, for ever. */
const GOLDEN = [
  { tenant: 'default', streamId: '123', lanes: [0, 9, 61] },
  { tenant: 'default', streamId: '12345', lanes: [0, 7, 95] },
  { tenant: 'acme', streamId: 'inv-1', lanes: [0, 10, 82] },
  { tenant: 'a', streamId: 'bc', lanes: [0, 13, 85] },
  { tenant: 'ab', streamId: 'c', lanes: [0, 3, 11] },
];

test.each(GOLDEN)('$tenant/$streamId stays in its lane', ({ tenant, streamId, lanes }) => {
  expect([1, 16, 100].map((count) => laneOf(tenant, streamId, count))).toEqual(lanes);
});
