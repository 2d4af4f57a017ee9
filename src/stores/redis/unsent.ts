/** What `redis` is told about a command. */
export interface CommandOptions {
  /** No timer of its own. */
  readonly timeout: undefined;
  readonly abortSignal?: AbortSignal;
}

/** For a client that keeps no commands, and that is destroyed when a call got no answer. */
export const AT_ONCE: CommandOptions = { timeout: undefined };

/** So many commands share a signal: adding one looks at all that wait. */
const MOST = 100;

/** A signal ends after this part of the time that the caller of its first command waits, so before any of its callers is gone. */
const ENDS_AFTER = 3 / 4;
/** Callers that wait longer than the first one by more than this part of its time get a signal of their own. */
const JOINS_WITHIN = 1 / 8;

/**
 * A client of an application can keep a command until it is connected again, and must not send it after its caller got an
 * error. `redis` makes a timer and a signal for each command and keeps both for five seconds, also when the command was
 * answered long ago: that costs more than the rest of the client. Here commands that are made shortly after each other share them.
 *
 * @returns The options of a command whose caller waits until then, by `performance.now()`.
 */
export function whileAwaited(): (until: number | undefined) => CommandOptions {
  let options = AT_ONCE;
  let [ends, latest, left] = [0, 0, 0];
  return (until) => {
    if (until === undefined) return AT_ONCE;
    const isShared = left > 0 && until >= ends && until <= latest && options.abortSignal?.aborted === false;
    if (!isShared) {
      const now = performance.now();
      const time = Math.max(until - now, 0);
      const controller = new AbortController();
      setTimeout(() => controller.abort(), time * ENDS_AFTER).unref();
      options = { timeout: undefined, abortSignal: controller.signal };
      [ends, latest, left] = [now + time * ENDS_AFTER, until + time * JOINS_WITHIN, MOST];
    }
    left--;
    return options;
  };
}
