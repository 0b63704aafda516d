import { connect } from 'node:http2';

/**
 * For the health checks of containers: ends with 0 if who listens on the address serves, with 1 and a
 * sentence if not. `grpc://host:port` is asked as grpc.health.v1 says, `http://host:port/path` must
 * answer with 200. It uses no package, so that it is quick to start: it runs every few seconds.
 */
const TIMEOUT_MS = 2_000;

/** A gRPC message: not compressed, its length in four bytes, the message. */
const ANY_SERVICE = Buffer.from([0, 0, 0, 0, 0]);
const SERVING = Buffer.from([0, 0, 0, 0, 2, 0x08, 1]);

const [, , target = ''] = process.argv;

try {
  await check(new URL(target), AbortSignal.timeout(TIMEOUT_MS));
  process.exit(0);
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${target} does not serve: ${reason}\n`);
  process.exit(1);
}

async function check(url: URL, signal: AbortSignal): Promise<void> {
  if (url.protocol === 'grpc:') return checkGrpc(url, signal);
  const { status } = await fetch(url, { signal });
  if (status !== 200) throw new Error(`it answered ${status}`);
}

function checkGrpc({ host }: URL, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => reject(signal.reason));
  const session = connect(`http://${host}`);
  session.on('error', reject);
  const call = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const chunks: Buffer[] = [];
  call.on('data', (chunk: Buffer) => chunks.push(chunk));
  call.on('error', reject);
  call.on('end', () => {
    if (Buffer.concat(chunks).equals(SERVING)) resolve();
    else reject(new Error('it says that it does not serve'));
  });
  call.end(ANY_SERVICE);
  return promise;
}
