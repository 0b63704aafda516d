import type { Static } from 'typebox';
import { checkBodyHeaders, readJsonBody } from './request-checks.ts';
import { jsonAnswer, NoQuery, PingAnswer, PingBody, problemAnswers } from './schemas.ts';
import type { RestServer } from './server.ts';

/** What the route below needs of whoever sends. */
export interface Pinger {
  /**
   * @param url the address of one endpoint; undefined for all.
   * @throws Problem
   */
  ping(url: string | undefined): Promise<Static<typeof PingAnswer>>;
}

/** `POST /ping`: a signed test body to one endpoint or to all, at once. */
export function addPingRoute(app: RestServer, pinger: Pinger): void {
  app.post(
    '/ping',
    {
      onRequest: checkBodyHeaders,
      preValidation: readJsonBody,
      schema: {
        operationId: 'ping',
        summary: 'Sends a signed ping to one registered url, or to all',
        body: PingBody,
        querystring: NoQuery,
        response: { 200: jsonAnswer('What came of each ping.', PingAnswer), ...problemAnswers },
      },
    },
    async (request, reply) => reply.send(await pinger.ping(request.body.url)),
  );
}
