import { RemoteError } from '@billhook/grpc';
import type { RemoteErrorCode } from '@billhook/grpc';
import { Problem, problemKinds, retrySoon } from '../rest/problem.ts';
import type { ProblemCode } from '../rest/problem.ts';

/** The reasons of the services behind the gateway that have a code of their own. */
const codeByReason: Readonly<Record<string, ProblemCode>> = {
  NOT_REGISTERED: 'not_registered',
  EVENT_INVALID: 'invalid_event',
  EVENT_REQUIRED: 'invalid_event',
  URL_REQUIRED: 'invalid_url',
  URL_INVALID: 'invalid_url',
  URL_HAS_WHITESPACE: 'invalid_url',
  URL_TOO_LONG: 'url_too_long',
  URL_NOT_ABSOLUTE: 'url_not_absolute',
  URL_SCHEME_UNSUPPORTED: 'url_scheme_unsupported',
  URL_HAS_CREDENTIALS: 'url_has_credentials',
  URL_HOST_INVALID: 'url_host_invalid',
  DESTINATION_REFUSED: 'destination_refused',
  FILTER_INVALID: 'invalid_filter',
  FILTER_TOO_LARGE: 'invalid_filter',
  HTTPS_REQUIRED: 'https_required',
  PORT_REFUSED: 'port_refused',
};

/** How a gRPC status is answered when its reason says nothing more exact. */
const codeByStatus: Readonly<Record<RemoteErrorCode, ProblemCode>> = {
  INVALID_ARGUMENT: 'invalid_argument',
  OUT_OF_RANGE: 'invalid_argument',
  NOT_FOUND: 'not_found',
  ALREADY_EXISTS: 'conflict',
  FAILED_PRECONDITION: 'conflict',
  ABORTED: 'conflict',
  RESOURCE_EXHAUSTED: 'overloaded',
  UNAVAILABLE: 'service_unavailable',
  CANCELLED: 'service_unavailable',
  DEADLINE_EXCEEDED: 'deadline_exceeded',
  // The gateway's own requests are at fault, or the service is; the caller can change nothing.
  UNAUTHENTICATED: 'internal',
  PERMISSION_DENIED: 'internal',
  UNIMPLEMENTED: 'internal',
  INTERNAL: 'internal',
  DATA_LOSS: 'internal',
  UNKNOWN: 'internal',
};

/**
 * Makes what came back instead of an answer a problem. Other errors stay what they are.
 *
 * @param service the name of the service that was called.
 */
export function toRemoteProblem(error: unknown, service: string): unknown {
  if (!(error instanceof RemoteError)) return error;
  const [violation] = error.fieldViolations;
  const code = codeFor(error, violation?.reason);
  if (problemKinds[code].status < 500) {
    const detail = violation
      ? sentenceOf(violation.description, `The field "${violation.field}" `)
      : sentenceOf(error.message, '');
    return new Problem(code, detail, { field: violation?.field, cause: error });
  }
  const headers = problemKinds[code].status === 503 ? retrySoon : {};
  return new Problem(code, sentenceFor(code, service), { headers, cause: error });
}

/** The problem of a service that cannot be reached, or does not even answer its health check. */
export function serviceAway(service: string, cause?: unknown): Problem {
  const detail = sentenceFor('service_unavailable', service);
  return new Problem('service_unavailable', detail, { headers: retrySoon, cause });
}

function codeFor(error: RemoteError, violated: string | undefined): ProblemCode {
  const exact = codeByReason[violated ?? ''] ?? codeByReason[error.reason ?? ''];
  return exact ?? codeByStatus[error.code];
}

/** The services describe a fault in a sentence, or in what completes one. */
function sentenceOf(description: string, subject: string): string {
  const isSentence = /^\p{Lu}/u.test(description);
  const text = isSentence ? description : `${subject}${description}`;
  const ended = /[.!?]$/.test(text) ? text : `${text}.`;
  return ended.replace(/^\p{Ll}+ /u, (word) => word.charAt(0).toUpperCase() + word.slice(1));
}

/** What is wrong inside is told without detail: that is for the log. */
function sentenceFor(code: ProblemCode, service: string): string {
  if (code === 'service_unavailable') {
    return `The ${service} service is away. Repeat the call in a second.`;
  }
  if (code === 'overloaded') {
    return `Too much work waits for the ${service} service. Repeat the call in a second.`;
  }
  if (code === 'deadline_exceeded') {
    return `The ${service} service did not answer in time. Repeat the call.`;
  }
  return 'Something went wrong inside. Repeat the call later.';
}
