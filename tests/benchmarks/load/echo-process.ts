import { invoiceV1 } from '@billhook/contracts';
import { implement, startGrpcServer } from '@billhook/grpc';
import type { Handlers } from '@billhook/grpc';
import { createLog } from '@billhook/runtime';
import { answerQuestions } from '../helpers/answer-questions.ts';
import type { EchoQuestions } from './echo.ts';

const CREATED_AT = { seconds: 1_700_000_000n, nanos: 123_000_000 };

const refuse = () => Promise.reject(new Error('an echo only creates'));

/** Answers what the invoice service would, and keeps nothing. */
const handlers: Handlers<typeof invoiceV1.InvoiceServiceService> = {
  createInvoice: ({ invoiceId, amount, dueDate, description }) =>
    Promise.resolve({
      invoice: {
        invoiceId,
        amount,
        dueDate,
        description,
        status: invoiceV1.InvoiceStatus.INVOICE_STATUS_PENDING,
        amountReceived: undefined,
        paidAt: undefined,
        createTime: CREATED_AT,
        updateTime: CREATED_AT,
        etag: '1',
      },
    }),
  updateInvoice: refuse,
  payInvoice: refuse,
  getInvoice: refuse,
  listInvoices: refuse,
  listInvoiceEvents: refuse,
};

const server = await startGrpcServer({
  address: { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' },
  services: [implement(invoiceV1.InvoiceServiceService, handlers)],
  log: createLog({ level: 'error', service: 'echo' }),
});

const answers: EchoQuestions = { address: () => server.address };
answerQuestions(answers);
