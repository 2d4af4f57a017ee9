import type { Token, TokenSession } from './token.ts';

/** Runs actions one after another, in one session of the token for as long as none fails. */
export type InTurn = <T>(signal: AbortSignal, action: (current: TokenSession) => Promise<T>) => Promise<T>;

export function createInTurn(token: Token): InTurn {
  let opened: TokenSession | undefined;
  let last: Promise<unknown> = Promise.resolve();

  /** A session has one operation at a time. */
  function inTurn<T>(signal: AbortSignal, action: (current: TokenSession) => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      const current = opened ?? (await token.open());
      // After a time-out the session may be busy, and closing it would wait: it is not closed, and the next call
      // opens a new one.
      opened = undefined;
      try {
        const result = await action(current);
        if (!signal.aborted) opened = current;
        return result;
      } catch (error) {
        if (!signal.aborted) token.close(current.session);
        throw error;
      }
    };
    const result = last.then(() => {
      signal.throwIfAborted();
      return Promise.race([run(), aborted(signal)]);
    });
    last = result.catch(() => undefined);
    return result;
  }

  return inTurn;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
