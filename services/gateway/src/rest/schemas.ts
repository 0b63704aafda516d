import { Type } from 'typebox';
import { problemContentType } from './problem.ts';

/** An event name, or `*` for all events. */
const EventName = Type.String({
  pattern: '^(?:[A-Za-z][A-Za-z0-9_.-]{0,127}|\\*)$',
  description: 'The name of an event, known or not yet known, or `*` for all events.',
  examples: ['invoice_created'],
});

/** What the address means is judged by the subscription service; here, that it can be one. */
const WebhookUrl = Type.String({
  pattern: '^[^\\s\\p{Cc}\\p{Cs}]+$',
  maxLength: 2_048,
  description: 'An absolute http or https address without user name and password.',
  examples: ['https://example.com/webhook'],
});

/** What it says is judged by the subscription service; here, that it is an object. */
const EventFilter = Type.Object(
  {},
  {
    additionalProperties: true,
    description: 'A condition that events must meet; without it, they all come.',
    examples: [{ 'data.amount': { gte: 1_000 } }],
  },
);

/** The body of `/register`. */
export const RegistrationBody = Type.Object(
  { event: EventName, url: WebhookUrl, filter: Type.Optional(EventFilter) },
  { additionalProperties: false },
);

/** The body of `/unregister`. */
export const UnregistrationBody = Type.Object(
  { event: EventName, url: WebhookUrl },
  { additionalProperties: false },
);

export const PingBody = Type.Object(
  { url: Type.Optional(WebhookUrl) },
  { additionalProperties: false, description: 'An address; without it, all that are registered.' },
);

/** The routes take no query; what is unknown is refused. */
export const NoQuery = Type.Object({}, { additionalProperties: false });

const Sentence = Type.String({ description: 'A sentence that says what was done.' });

export const RegisteredWebhook = Type.Object({
  endpoint_id: Type.String(),
  event: Type.String(),
  url: Type.String({ description: 'The address in the form in which it is compared.' }),
  status: Type.Union([Type.Literal('active'), Type.Literal('paused'), Type.Literal('disabled')]),
  secret: Type.Optional(
    Type.String({ description: 'Only when this call made the endpoint, and never again.' }),
  ),
});

export const UnregisteredWebhook = Type.Object({
  endpoint_id: Type.String(),
  event: Type.String(),
  url: Type.String(),
  status: Type.Literal('unregistered'),
});

export const PingAnswer = Type.Array(
  Type.Object({
    url: Type.String(),
    outcome: Type.Union([
      Type.Literal('delivered'),
      Type.Literal('rejected'),
      Type.Literal('unreachable'),
      Type.Literal('refused'),
    ]),
    status: Type.Union([Type.Integer(), Type.Null()], {
      description: 'The HTTP status of the answer; null when there was none.',
    }),
    duration_ms: Type.Integer(),
  }),
);

export const Liveness = Type.Object({ status: Type.Literal('alive') });

const BackendStatus = Type.Union([Type.Literal('serving'), Type.Literal('away')]);

export const BackendStatuses = Type.Object({
  subscription: BackendStatus,
  delivery: BackendStatus,
});

export const Readiness = Type.Object({ status: Type.Literal('ready'), services: BackendStatuses });

const ProblemDetails = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'What the caller can change.' }),
    code: Type.String({ description: 'Stable: a program can branch on it.' }),
    field: Type.Optional(Type.String({ description: 'The offending field.' })),
    services: Type.Optional(BackendStatuses),
  },
  { description: 'Problem details, RFC 9457.' },
);

const problemAnswer = {
  description: 'The call was refused; `code` and `detail` say why.',
  content: { [problemContentType]: { schema: ProblemDetails } },
};

/** The answers that every route may give besides its own. */
export const problemAnswers = { '4xx': problemAnswer, '5xx': problemAnswer };

/** An answer that is a sentence, or JSON for those who ask for it. */
export function sentenceOr<Schema>(schema: Schema) {
  return {
    description: 'Done. The sentence by default, JSON for `Accept: application/json`.',
    content: { 'text/html': { schema: Sentence }, 'application/json': { schema } },
  };
}

/** An answer that is always JSON. */
export function jsonAnswer<Schema>(description: string, schema: Schema) {
  return { description, content: { 'application/json': { schema } } };
}
