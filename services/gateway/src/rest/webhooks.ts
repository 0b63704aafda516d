import type { FastifyReply } from 'fastify';
import type { Static } from 'typebox';
import { prefersJson } from './accept.ts';
import { checkBodyHeaders, readJsonBody } from './request-checks.ts';
import {
  NoQuery,
  problemAnswers,
  RegisteredWebhook,
  RegistrationBody,
  sentenceOr,
  UnregisteredWebhook,
  UnregistrationBody,
} from './schemas.ts';
import type { RestServer } from './server.ts';

/** What the routes below need of whoever owns the subscriptions. Both throw `Problem`. */
export interface Webhooks {
  register(webhook: Static<typeof RegistrationBody>): Promise<Static<typeof RegisteredWebhook>>;
  unregister(
    webhook: Static<typeof UnregistrationBody>,
  ): Promise<Static<typeof UnregisteredWebhook>>;
}

/** `POST /register` and `POST /unregister`. */
export function addWebhookRoutes(app: RestServer, webhooks: Webhooks): void {
  const takesWebhook = { onRequest: checkBodyHeaders, preValidation: readJsonBody };

  app.post(
    '/register',
    {
      ...takesWebhook,
      schema: {
        operationId: 'register',
        summary: 'Has an event POSTed to a url from now on',
        body: RegistrationBody,
        querystring: NoQuery,
        response: { 200: sentenceOr(RegisteredWebhook), ...problemAnswers },
      },
    },
    async (request, reply) => {
      const registered = await webhooks.register(request.body);
      return answer(reply, request.headers.accept, {
        json: registered,
        sentence: `Webhook for "${request.body.event}" registered successfully`,
      });
    },
  );

  app.post(
    '/unregister',
    {
      ...takesWebhook,
      schema: {
        operationId: 'unregister',
        summary: 'Takes a registration back',
        body: UnregistrationBody,
        querystring: NoQuery,
        response: { 200: sentenceOr(UnregisteredWebhook), ...problemAnswers },
      },
    },
    async (request, reply) => {
      const unregistered = await webhooks.unregister(request.body);
      return answer(reply, request.headers.accept, {
        json: unregistered,
        sentence: `Webhook for "${request.body.event}" unregistered successfully`,
      });
    },
  );
}

/** The sentence is HTML, and safe as such: an event name holds nothing that HTML would read. */
function answer(
  reply: FastifyReply,
  accept: string | undefined,
  content: { readonly json: object; readonly sentence: string },
): FastifyReply {
  reply.header('vary', 'accept');
  return prefersJson(accept)
    ? reply.type('application/json').send(content.json)
    : reply.type('text/html; charset=utf-8').send(content.sentence);
}
