/**
 * Waits for work, but no longer than a time. The work goes on by itself, and its error is nobody's then.
 *
 * @param onLate says what comes instead, or throws.
 * @returns what came of the work in time.
 */
export async function within<Result, Instead>(
  work: Promise<Result>,
  timeoutMs: number,
  onLate: () => Instead,
): Promise<Result | Instead> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, timeoutMs, undefined);
  try {
    return await Promise.race([work, late.then(onLate)]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for work until a signal aborts that has not done so yet. The work goes on by itself, and its error
 * is nobody's then.
 *
 * @throws the reason of the signal.
 */
export async function unlessAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
