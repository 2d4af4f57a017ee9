import { StrongroomError } from '../errors.ts';
import type { MaybePromise, SessionCall, SessionLayer } from '../layer.ts';
import { checkOptions, invalidOption } from '../options.ts';

/** Options of {@link authorize}. */
export interface AuthorizeOptions {
  /**
   * Whether this call is allowed: only `true` allows it. `call.kind` is the operation, `call.sessionId` the
   * session, `call.runContext?.context` the `context` of `run()`; a call without a run context was made by your own
   * code, not by the runner. Functions on sessions and stores (`shred`, `purgeExpired`, …) are calls of their own
   * kinds; they take `actor`, `purpose` and a run context as options. A call on a whole store has an empty
   * `sessionId`.
   */
  readonly check: (call: SessionCall) => MaybePromise<boolean>;
}

/**
 * Refuses calls that `check` does not allow, before anything is read or written. Everything but `true` refuses, a
 * `check` that throws included: it may be a policy service that does not answer.
 *
 * A run reads the session before it calls the model and adds to it afterwards. Refuse `getItems` of callers that
 * may not write: a run that may read but not add costs a model call whose answer is not stored.
 *
 * It checks calls on this wrapper only. Calls on the inner session and on the database bypass it.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when `check` is not a function. Refused calls reject with
 * `ERR_ACCESS_DENIED`.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { authorize, wrapSession } from 'strongroom';
 *
 * const session = wrapSession(new MemorySession({ sessionId: 'user-7' }), [
 *   authorize({
 *     check: ({ sessionId, runContext }) =>
 *       (runContext?.context as { userId?: string } | undefined)?.userId === sessionId,
 *   }),
 * ]);
 * ```
 */
export function authorize(options: AuthorizeOptions): SessionLayer {
  checkOptions('authorize', options, ['check']);
  const { check } = options;
  if (typeof check !== 'function') invalidOption('authorize', 'check', 'a function', check);
  return {
    name: 'authorize',
    wantsRunContext: true,
    async around(call, next) {
      let allowed: unknown;
      try {
        allowed = await check(call);
      } catch (cause) {
        throw denied(call, 'check failed, see the cause', { cause });
      }
      if (allowed !== true) throw denied(call, 'check did not return true');
      return next();
    },
  };
}

function denied(call: SessionCall, why: string, options?: { cause: unknown }): StrongroomError {
  return new StrongroomError(
    'ERR_ACCESS_DENIED',
    `authorize: ${call.kind} on ${call.sessionId === '' ? 'the store' : `session ${JSON.stringify(call.sessionId)}`} is refused, because ${why}. ` +
      'Call with a run context that may use this session.',
    options,
  );
}
