import { DestinationRefusedError, NameNotResolvedError } from '@billhook/destinations';
import { describe, expect, test } from 'vitest';
import { describeFailure, isClosed } from './failure.ts';

describe('the detail of a failure', () => {
  test.each([
    ['ECONNREFUSED', 'connection refused (ECONNREFUSED)'],
    ['ECONNRESET', 'connection reset (ECONNRESET)'],
    ['UND_ERR_SOCKET', 'connection closed (UND_ERR_SOCKET)'],
    ['EHOSTUNREACH', 'network unreachable (EHOSTUNREACH)'],
    ['CERT_HAS_EXPIRED', 'TLS failed (CERT_HAS_EXPIRED)'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'TLS failed (ERR_TLS_CERT_ALTNAME_INVALID)'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'TLS failed (UNABLE_TO_VERIFY_LEAF_SIGNATURE)'],
    [
      'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
      'invalid response (UND_ERR_RES_CONTENT_LENGTH_MISMATCH)',
    ],
    ['UND_ERR_HEADERS_OVERFLOW', 'response headers too large (UND_ERR_HEADERS_OVERFLOW)'],
    ['PROXY_STATUS_403', 'egress proxy failed (PROXY_STATUS_403)'],
    ['SOMETHING_NEW', 'failed (SOMETHING_NEW)'],
  ])('names the cause behind %s', (code, detail) => {
    const error = Object.assign(new Error('with a text that is not repeated'), { code });
    expect(describeFailure(error)).toEqual({ kind: 'unreachable', detail });
  });

  test.each([
    ['ETIMEDOUT', 'timed out (ETIMEDOUT)'],
    ['UND_ERR_CONNECT_TIMEOUT', 'timed out connecting (UND_ERR_CONNECT_TIMEOUT)'],
  ])('says that the receiver did not answer in time: %s', (code, detail) => {
    const error = Object.assign(new Error('text'), { code });
    expect(describeFailure(error)).toEqual({ kind: 'unreachable', detail, timedOut: true });
  });

  test.each(['ENOTFOUND', 'ETIMEDOUT', 'ETIMEOUT', 'ECONNREFUSED', 'TOO_MANY_LOOKUPS'])(
    'tells a name that was not resolved from a receiver that was not reached: %s',
    (code) => {
      const error = new NameNotResolvedError('a.example', code);
      const detail = `name not resolved (${code})`;
      expect(describeFailure(error)).toEqual({ kind: 'unreachable', detail });
    },
  );

  test('repeats nothing that only poses as a code', () => {
    for (const code of ['<script>', 'a\nb', 'X'.repeat(100), 7, undefined]) {
      const error = Object.assign(new Error('text'), { code });
      expect(describeFailure(error).detail).toBe('failed');
    }
  });

  test('says of a refused address that it was refused', () => {
    const error = new DestinationRefusedError('10.0.0.1', 'private');
    const { kind, detail } = describeFailure(error);
    expect(kind).toBe('refused');
    expect(detail).toContain('10.0.0.1');
  });
});

test('a connection counts as closed by the receiver only with the codes that say so', () => {
  const closed = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];
  const others = ['ECONNREFUSED', 'UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_DESTROYED'];
  for (const code of [...closed, ...others]) {
    expect(isClosed(Object.assign(new Error('text'), { code }))).toBe(closed.includes(code));
  }
});
