/** The address of a receiver as it is kept and compared, or why it is none. */
export type ParsedWebhookUrl =
  | {
      readonly kind: 'ok';
      /** The WHATWG serialisation, without a fragment. */
      readonly url: string;
      /** A name without the dot that may end it, or an IP address without brackets. */
      readonly hostname: string;
    }
  | {
      readonly kind: 'invalid';
      readonly reason: WebhookUrlProblem;
      /** Completes the sentence "the URL ...". */
      readonly message: string;
    };

export type WebhookUrlProblem =
  | 'URL_REQUIRED'
  | 'URL_TOO_LONG'
  | 'URL_HAS_WHITESPACE'
  | 'URL_NOT_ABSOLUTE'
  | 'URL_SCHEME_UNSUPPORTED'
  | 'URL_HAS_CREDENTIALS'
  | 'URL_HOST_INVALID'
  | 'URL_INVALID';

/** In characters, of what was sent and of its serialisation. */
export const MAX_URL_LENGTH = 2_048;

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for.
const WHITESPACE_OR_CONTROL = /[\s\u0000-\u001f\u007f-\u009f]/;
const LABEL_MAX_LENGTH = 63;
const HOSTNAME_MAX_LENGTH = 253;

const messages: Readonly<Record<WebhookUrlProblem, string>> = {
  URL_REQUIRED: 'is required',
  URL_TOO_LONG: `must be at most ${MAX_URL_LENGTH} characters long, percent-encoding included`,
  URL_HAS_WHITESPACE: 'must hold no whitespace and no control characters',
  URL_NOT_ABSOLUTE: 'must be absolute, such as https://example.com/webhook',
  URL_SCHEME_UNSUPPORTED: 'must begin with http:// or https://',
  URL_HAS_CREDENTIALS: 'must hold no user name and no password',
  URL_HOST_INVALID: 'must name a host that can exist, and a port other than 0',
  URL_INVALID: 'must be an address such as https://example.com/webhook',
};

/**
 * Reads the address of a receiver. The WHATWG rules turn every notation of an IPv4 address (octal,
 * hexadecimal, one number) into dotted decimals, so that what is judged is what is connected to.
 */
export function parseWebhookUrl(text: string): ParsedWebhookUrl {
  const problem = findProblem(text);
  if (problem !== undefined) {
    return invalid(problem);
  }
  const url = URL.parse(text);
  if (url === null) {
    return invalid('URL_INVALID');
  }
  url.hash = '';
  const hostname = bareHostname(url.hostname);
  if (!isPossibleHost(url.hostname, hostname) || url.port === '0') {
    return invalid('URL_HOST_INVALID');
  }
  return url.href.length > MAX_URL_LENGTH
    ? invalid('URL_TOO_LONG')
    : { kind: 'ok', url: url.href, hostname };
}

/** What the WHATWG parser would forgive, or repair in silence. */
function findProblem(text: string): WebhookUrlProblem | undefined {
  if (text === '') {
    return 'URL_REQUIRED';
  }
  if (text.length > MAX_URL_LENGTH) {
    return 'URL_TOO_LONG';
  }
  if (WHITESPACE_OR_CONTROL.test(text)) {
    return 'URL_HAS_WHITESPACE';
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1];
  if (scheme === undefined) {
    return 'URL_NOT_ABSOLUTE';
  }
  if (!/^https?$/i.test(scheme)) {
    return 'URL_SCHEME_UNSUPPORTED';
  }
  const authority = /^:\/\/([^/?#\\]*)/.exec(text.slice(scheme.length))?.[1];
  if (authority === undefined) {
    return 'URL_NOT_ABSOLUTE';
  }
  if (authority.includes('@')) {
    return 'URL_HAS_CREDENTIALS';
  }
  return authority === '' ? 'URL_HOST_INVALID' : undefined;
}

function bareHostname(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname.replace(/\.$/, '');
}

function isPossibleHost(hostname: string, bare: string): boolean {
  if (hostname.startsWith('[')) {
    return true;
  }
  const labels = bare.split('.');
  return (
    bare.length <= HOSTNAME_MAX_LENGTH &&
    labels.every((label) => label !== '' && label.length <= LABEL_MAX_LENGTH)
  );
}

function invalid(reason: WebhookUrlProblem): ParsedWebhookUrl {
  return { kind: 'invalid', reason, message: messages[reason] };
}
