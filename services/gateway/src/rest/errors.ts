import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '@billhook/runtime';
import { quotableField } from './json-body.ts';
import { Problem, problemBody, problemContentType } from './problem.ts';
import type { ProblemCode } from './problem.ts';
import { BODY_LIMIT_BYTES } from './request-checks.ts';

/** Makes every error of the server, whoever threw it, an answer of problem details. */
export function answerErrorsAsProblems(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error, request, log);
    if (problem.code === 'body_too_large') letClientFinish(request, reply);
    sendProblem(reply, problem);
  });
}

/**
 * The framework would close the connection after a body over the limit, and so reset it under a
 * client that still writes and has not read the answer yet. The rest of the body is thrown away as
 * it comes, within the time of a request. Who sent `Expect` sends no more.
 */
function letClientFinish(request: FastifyRequest, reply: FastifyReply): void {
  if (request.headers.expect === undefined) reply.removeHeader('connection');
}

/** @returns the answer, so that a handler can end with it. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return (
    reply
      .code(problem.status)
      .headers(problem.headers)
      .type(problemContentType)
      // As bytes: to a text the framework would add a charset, which this media type does not have.
      .send(Buffer.from(problemBody(problem)))
  );
}

/** An error that the gateway did not foresee is logged in full, and answered without detail. */
export function toProblem(error: unknown, request: FastifyRequest, log: Log): Problem {
  if (error instanceof Problem) {
    if (error.status >= 500) logProblem(error, log);
    return error;
  }
  const problem = isFastifyError(error) ? fromFastify(error) : undefined;
  if (problem) return problem;
  log.error({ err: error, route: request.routeOptions.url }, 'a request failed inside the gateway');
  return new Problem('internal', 'Something went wrong inside. Repeat the call later.');
}

/** That a service is away is told in a line; a stack is only for what should not have happened. */
function logProblem({ code, cause, message }: Problem, log: Log): void {
  if (code === 'internal') log.error({ code, err: cause }, message);
  else log.warn({ code, cause: cause instanceof Error ? cause.message : undefined }, message);
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && 'code' in error;
}

function fromFastify(error: FastifyError): Problem | undefined {
  const violation = error.validation?.[0];
  if (violation) return fromViolation(violation, error.validationContext ?? 'body');
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new Problem(
      'body_too_large',
      `The body has more than ${BODY_LIMIT_BYTES} bytes. Send a smaller one.`,
    );
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new Problem(
      'malformed_request',
      'The request could not be read. Send it as valid HTTP.',
    );
  }
  return undefined;
}

/** What the schema validation says of one value. */
interface Violation {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
}

function fromViolation(violation: Violation, context: string): Problem {
  const { keyword, params } = violation;
  const field = violation.instancePath.replace(/^\//, '') || undefined;
  if (keyword === 'additionalProperties') {
    return unknownName(quotableField(String(params['additionalProperty'])), context);
  }
  if (keyword === 'required') {
    const missing = String(params['missingProperty']);
    return new Problem('missing_field', `The field "${missing}" is missing. Send it.`, {
      field: missing,
    });
  }
  if (keyword === 'type') return wrongType(field, String(params['type']));
  const code = codeOfField(field, keyword);
  return new Problem(code, sentenceOfField(code), { field });
}

function unknownName(name: string, context: string): Problem {
  return context === 'querystring'
    ? new Problem(
        'unknown_parameter',
        `The query parameter "${name}" is not known. Leave it out.`,
        {
          field: name,
        },
      )
    : new Problem('unknown_field', `The field "${name}" is not known. Leave it out.`, {
        field: name,
      });
}

function wrongType(field: string | undefined, type: string): Problem {
  const article = /^[aio]/.test(type) ? 'an' : 'a';
  return field === undefined
    ? new Problem('wrong_type', `The body is not ${article} ${type}. Send a JSON ${type}.`)
    : new Problem(
        'wrong_type',
        `The field "${field}" is not ${article} ${type}. Send ${article} ${type}.`,
        {
          field,
        },
      );
}

function codeOfField(field: string | undefined, keyword: string): ProblemCode {
  if (field === 'event') return 'invalid_event';
  if (field === 'url') return keyword === 'maxLength' ? 'url_too_long' : 'invalid_url';
  return 'invalid_argument';
}

function sentenceOfField(code: ProblemCode): string {
  if (code === 'invalid_event') {
    return (
      'An event name begins with a letter and has at most 128 letters, digits, "_", "." and "-"; ' +
      'or it is "*" for all events.'
    );
  }
  if (code === 'url_too_long') return 'The url has more than 2,048 characters. Send a shorter one.';
  if (code === 'invalid_url') {
    return 'The url is empty or holds white space. Send an absolute http or https address.';
  }
  return 'The value is not valid. Correct it.';
}
