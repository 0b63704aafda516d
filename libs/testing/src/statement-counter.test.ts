import { expect, test } from 'vitest';
import { createStatementCounter } from './statement-counter.ts';

function message(type: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(4 + body.length);
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body)]);
}

test('simple queries and executions are counted, however their bytes come', () => {
  const bytes = Buffer.concat([
    message('', 'user and database'),
    message('p', 'password'),
    message('Q', 'begin'),
    ...['P', 'B', 'D', 'E', 'S'].map((type) => message(type, 'E and Q in a body')),
    message('E', ''),
    message('Q', 'commit'),
    message('X', ''),
  ]);

  const whole = createStatementCounter();
  expect(whole(bytes)).toBe(4);
  const piecemeal = createStatementCounter();
  const counts = [...bytes].map((byte) => piecemeal(Buffer.from([byte])));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(4);
});
