import { MIMEType } from 'node:util';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { parseJsonBody } from './json-body.ts';
import { Problem } from './problem.ts';

/** The most that a body may have. */
export const BODY_LIMIT_BYTES = 64 * 1024;

/** No path of the gateway is longer than a few characters; what is far longer is abuse. */
const MAX_REQUEST_TARGET_LENGTH = 2_048;

const acceptedType = 'application/json';

/** Refuses what no route can answer, before anything of a body is read. */
export async function checkRequestLine(request: FastifyRequest): Promise<void> {
  const { raw } = request;
  if (raw.httpVersion === '1.1' && !raw.headers.host) {
    throw new Problem('missing_host', 'The request has no host header. HTTP/1.1 requires it.');
  }
  if ((raw.url ?? '').length > MAX_REQUEST_TARGET_LENGTH) {
    throw new Problem(
      'uri_too_long',
      `The address has more than ${MAX_REQUEST_TARGET_LENGTH} characters. Shorten it.`,
    );
  }
}

/** Refuses a body by its headers, before anything of it is read. For routes that take JSON. */
export async function checkBodyHeaders(request: FastifyRequest): Promise<void> {
  const { headers } = request;
  checkTransferEncoding(headers['transfer-encoding']);
  if (!headers['transfer-encoding'] && Number(headers['content-length'] ?? 0) === 0) {
    throw new Problem('empty_body', 'The body is empty. Send a JSON object, at least {}.');
  }
  checkContentEncoding(headers['content-encoding']);
  checkContentType(headers['content-type']);
}

/** Replaces the bytes of the body by the JSON value that they hold. */
export async function readJsonBody(request: FastifyRequest): Promise<void> {
  request.body = parseJsonBody(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
}

/** Headers that every answer bears: some hold a secret, and none is to be guessed at or kept. */
export async function addSafetyHeaders(
  _request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
}

function checkTransferEncoding(encoding: string | undefined): void {
  if (encoding === undefined || encoding.trim().toLowerCase() === 'chunked') return;
  throw new Problem(
    'malformed_request',
    'The only transfer encoding that is understood is chunked. Send the body plain or chunked.',
  );
}

function checkContentEncoding(encoding: string | undefined): void {
  if (encoding === undefined || encoding.trim().toLowerCase() === 'identity') return;
  throw new Problem(
    'unsupported_content_encoding',
    'The body has a content encoding. Send it plain, without compression.',
    { headers: { 'accept-encoding': 'identity' } },
  );
}

function checkContentType(text: string | undefined): void {
  const type = parseMediaType(text ?? '');
  if (type?.essence !== acceptedType) {
    throw new Problem(
      'unsupported_content_type',
      `The content type is not JSON. Send the header "content-type: ${acceptedType}".`,
      { headers: { accept: acceptedType } },
    );
  }
  const charset = type.params.get('charset') ?? 'utf-8';
  if (!['utf-8', 'utf8'].includes(charset.toLowerCase())) {
    throw new Problem('unsupported_charset', 'The character set is not UTF-8. Send UTF-8.', {
      headers: { accept: acceptedType },
    });
  }
}

function parseMediaType(text: string): MIMEType | undefined {
  try {
    return new MIMEType(text);
  } catch {
    return undefined;
  }
}
