import type { subscriptionV1 } from '@billhook/contracts';
import { invalidField } from '@billhook/runtime';
import type { ServiceError } from '@billhook/runtime';
import type { EndpointHeader } from '@billhook/secrets';

const MAX_HEADERS = 20;
const MAX_NAME_CHARACTERS = 64;
const MAX_VALUE_CHARACTERS = 4_096;
/** Common servers take 8 KiB of headers; what Billhook sends itself is below 1 KiB. */
const MAX_CHARACTERS_TOGETHER = 6_144;

/** A token (RFC 9110, 5.6.2). */
const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/** Latin-1, as HTTP/1.1 carries it, without C0, DEL and C1: nothing in it can end the header. */
const VALUE = /^[\u0020-\u007e\u00a0-\u00ff]+$/;

/** What describes the body, the way to the receiver, and the delivery itself. */
const RESERVED_PREFIXES = ['billhook-', 'content-', 'proxy-', 'webhook-'];

/** What frames a message or belongs to one connection (RFC 9110, 7.6.1), and what Billhook sends. */
const RESERVED_NAMES: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
]);

/**
 * Reads the headers that an endpoint gets. Nothing of a value is repeated in an error.
 *
 * @returns them in the order of their names, which are in lower case.
 * @throws ServiceError `INVALID_ARGUMENT` that names the place.
 */
export function requireHeaders(headers: readonly subscriptionV1.Header[]): EndpointHeader[] {
  if (headers.length > MAX_HEADERS) {
    throw invalidField('headers', 'TOO_MANY_HEADERS', `must be at most ${MAX_HEADERS}`);
  }
  const read = headers.map(({ name, value }, index) => ({
    name: requireName(name, `headers[${index}].name`),
    value: requireValue(value, `headers[${index}].value`),
  }));
  requireDifferentNames(read);
  const characters = read.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
  if (characters > MAX_CHARACTERS_TOGETHER) {
    const description = `must have at most ${MAX_CHARACTERS_TOGETHER} characters together`;
    throw invalidField('headers', 'HEADERS_TOO_LARGE', description);
  }
  return read.toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

function requireName(text: string, field: string): string {
  if (text === '') {
    throw invalidField(field, 'FIELD_REQUIRED', 'is required');
  }
  if (text.length > MAX_NAME_CHARACTERS || !NAME.test(text)) {
    const description =
      `must be at most ${MAX_NAME_CHARACTERS} letters, digits and characters of ` +
      "!#$%&'*+-.^_`|~";
    throw invalidField(field, 'HEADER_NAME_INVALID', description);
  }
  const name = text.toLowerCase();
  if (RESERVED_NAMES.has(name) || RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix))) {
    throw reserved(field, name);
  }
  return name;
}

function reserved(field: string, name: string): ServiceError {
  const description = `must not be ${name}, which Billhook or HTTP sets; choose another name`;
  return invalidField(field, 'HEADER_NAME_RESERVED', description);
}

function requireValue(value: string, field: string): string {
  if (value === '') {
    throw invalidField(field, 'FIELD_REQUIRED', 'is required');
  }
  if (value.length > MAX_VALUE_CHARACTERS) {
    const description = `must be at most ${MAX_VALUE_CHARACTERS} characters`;
    throw invalidField(field, 'HEADER_VALUE_TOO_LONG', description);
  }
  // A receiver takes spaces at the ends away, and would get another value than was sent.
  if (!VALUE.test(value) || value.startsWith(' ') || value.endsWith(' ')) {
    const description =
      'must be printable characters of Latin-1 without line breaks, tabs or other control ' +
      'characters, and without a space at either end';
    throw invalidField(field, 'HEADER_VALUE_INVALID', description);
  }
  return value;
}

/** Case makes no difference to HTTP. */
function requireDifferentNames(headers: readonly EndpointHeader[]): void {
  const first = new Map<string, number>();
  for (const [index, { name }] of headers.entries()) {
    const earlier = first.get(name);
    if (earlier !== undefined) {
      const description = `must not be that of headers[${earlier}] again`;
      throw invalidField(`headers[${index}].name`, 'HEADER_NAME_REPEATED', description);
    }
    first.set(name, index);
  }
}
