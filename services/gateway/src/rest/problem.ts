/** How one kind of problem is answered. */
interface ProblemKind {
  readonly status: number;
  readonly title: string;
}

/**
 * Every code that the gateway can answer. Codes are part of the interface: clients branch on them,
 * so a code keeps its meaning for ever.
 */
export const problemKinds = {
  // The request as HTTP.
  malformed_request: { status: 400, title: 'The request is not valid HTTP' },
  missing_host: { status: 400, title: 'The host header is missing' },
  host_not_local: { status: 421, title: 'The host is not this machine' },
  request_timeout: { status: 408, title: 'The request came too slowly' },
  uri_too_long: { status: 414, title: 'The address of the request is too long' },
  expectation_failed: { status: 417, title: 'The expectation cannot be met' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  route_not_found: { status: 404, title: 'There is nothing at this path' },
  method_not_allowed: { status: 405, title: 'The path does not support this method' },

  // The body as JSON.
  empty_body: { status: 400, title: 'The body is empty' },
  body_too_large: { status: 413, title: 'The body is too large' },
  unsupported_content_type: { status: 415, title: 'The content type is not supported' },
  unsupported_charset: { status: 415, title: 'The character set is not supported' },
  unsupported_content_encoding: { status: 415, title: 'The content encoding is not supported' },
  invalid_utf8: { status: 400, title: 'The body is not valid UTF-8' },
  invalid_json: { status: 400, title: 'The body is not valid JSON' },
  json_too_deep: { status: 400, title: 'The JSON is nested too deeply' },
  duplicate_field: { status: 400, title: 'A field is given twice' },
  number_too_large: { status: 400, title: 'A number is too large' },
  number_not_exact: { status: 400, title: 'A number would be rounded' },

  // The fields.
  wrong_type: { status: 400, title: 'A value has the wrong type' },
  missing_field: { status: 400, title: 'A required field is missing' },
  unknown_field: { status: 400, title: 'A field is not known' },
  unknown_parameter: { status: 400, title: 'A query parameter is not known' },
  invalid_event: { status: 400, title: 'The event name is not valid' },
  invalid_url: { status: 400, title: 'The url is not valid' },
  url_too_long: { status: 400, title: 'The url is too long' },
  url_not_absolute: { status: 400, title: 'The url is not absolute' },
  url_scheme_unsupported: { status: 400, title: 'The url is neither http nor https' },
  url_has_credentials: { status: 400, title: 'The url holds a user name or a password' },
  url_host_invalid: { status: 400, title: 'The host of the url is not valid' },
  invalid_filter: { status: 400, title: 'The filter is not valid' },
  destination_refused: { status: 400, title: 'The url leads to an address that is not allowed' },
  https_required: { status: 400, title: 'The url is not https' },
  port_refused: { status: 400, title: 'The port of the url is not allowed' },
  invalid_argument: { status: 400, title: 'A value is not valid' },

  // What the services behind the gateway say.
  not_registered: { status: 404, title: 'The webhook is not registered' },
  not_found: { status: 404, title: 'There is no such thing' },
  conflict: { status: 409, title: 'The request does not fit the present state' },
  overloaded: { status: 503, title: 'Too much work is waiting' },
  service_unavailable: { status: 503, title: 'A service behind the gateway is away' },
  not_ready: { status: 503, title: 'Not ready' },
  deadline_exceeded: { status: 504, title: 'The answer took too long' },
  internal: { status: 500, title: 'Something went wrong inside' },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problemKinds;

export const problemContentType = 'application/problem+json';

export interface ProblemOptions {
  /** The offending field of the body, or the offending query parameter. */
  readonly field?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Members of the answer beyond those of RFC 9457. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** A refusal, thrown by whoever finds it and answered in one place. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly field: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly members: Readonly<Record<string, unknown>>;

  /** @param detail a sentence that tells the caller what to change; it holds no secret. */
  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, { cause: options.cause });
    this.name = 'Problem';
    this.code = code;
    this.field = options.field;
    this.headers = options.headers ?? {};
    this.members = options.members ?? {};
  }

  get status(): number {
    return problemKinds[this.code].status;
  }
}

/** The body of a problem's answer, as RFC 9457 wants it. */
export function problemBody(problem: Problem): string {
  return JSON.stringify({
    type: `urn:billhook:problem:${problem.code}`,
    title: problemKinds[problem.code].title,
    status: problem.status,
    detail: problem.message,
    code: problem.code,
    field: problem.field,
    ...problem.members,
  });
}

/** The header of a 503: what is away is asked for again after a second. */
export const retrySoon: Readonly<Record<string, string>> = { 'retry-after': '1' };
