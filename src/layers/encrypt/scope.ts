import { boundedMap } from '../../bounded-map.ts';
import { checkContext, type Context } from '../../context.ts';
import { bindingContext, type BindingContext } from '../../crypto/derive.ts';
import { isStrongroomError, StrongroomError } from '../../errors.ts';
import { getOrMake } from '../../get-or-make.ts';
import type { DataKeyScope } from '../../keys/data-keys/types.ts';
import type { DekStore } from '../../keys/dek-store.ts';
import type { Keyring } from '../../keys/keyring.ts';
import type { MaybePromise, SessionCall } from '../../layer.ts';
import { after } from '../../maybe-promise.ts';
import { mayShare } from '../../protocol/record-origin.ts';
import { isGuarding } from '../../session-contract.ts';
import { checkKeyring, type EncryptSettings } from './options.ts';

/** Sessions whose context is remembered, about 300 bytes each. */
const MAX_CONTEXTS = 10_000;

/** The keyring, the context and the DEK stores of a call. */
export type ScopeOf = (call: SessionCall) => MaybePromise<DataKeyScope>;

export function createScopeOf({
  keys,
  context,
  dekStore,
}: Pick<EncryptSettings, 'keys' | 'context' | 'dekStore'>): ScopeOf {
  const fixed = fixedContexts(typeof context === 'function' ? undefined : context);
  const ringOf = (call: SessionCall): MaybePromise<Keyring> =>
    typeof keys === 'function' ? ask('keys', keys, call).then(checkKeyring) : keys;
  const contextOf = (call: SessionCall): MaybePromise<BindingContext> =>
    typeof context === 'function'
      ? ask('context', context, call).then((entries) =>
          bindingContext(call.sessionId, checkContext('encrypt', entries)),
        )
      : fixed(call.sessionId);
  const scopeOf: ScopeOf = (call) =>
    after(ringOf(call), (ring) =>
      after(contextOf(call), (binding) => {
        const stores: DekStore[] = [];
        if (dekStore !== undefined && dekStore !== 'inline') stores.push(dekStore);
        if (call.dekStore !== undefined) stores.push(call.dekStore);
        return {
          ring,
          sessionId: call.sessionId,
          context: binding,
          stores,
          inline: dekStore === 'inline',
          guarding: isGuarding(call.dekStore) ? call.dekStore : undefined,
          now: call.now(),
          of: (origin) =>
            mayShare(call.sessionId, origin)
              ? scopeOf({ ...call, sessionId: origin })
              : moved(call.sessionId, origin),
        };
      }),
    );
  return scopeOf;
}

function moved(sessionId: string, origin: string): never {
  throw new StrongroomError(
    'ERR_AUTHENTICATION',
    `The database gives session ${JSON.stringify(sessionId)} a record of session ${JSON.stringify(origin)}, which it cannot share: ` +
      'it was moved from another conversation. Restore the history from a backup.',
  );
}

/**
 * The result of a function that is an option. Its errors mean that no key is available: a network error of it must
 * not look like one of the session.
 */
async function ask<T>(
  option: 'keys' | 'context',
  answer: (call: SessionCall) => MaybePromise<T>,
  call: SessionCall,
): Promise<T> {
  try {
    return await answer(call);
  } catch (cause) {
    if (isStrongroomError(cause)) throw cause;
    throw new StrongroomError(
      'ERR_KEY_UNAVAILABLE',
      `encrypt: the function ${option} failed for session ${JSON.stringify(call.sessionId)}; see the cause. Nothing was sealed or opened: repeat the call.`,
      { cause },
    );
  }
}

/** When the context is the same for every call, it is hashed once for a session. */
function fixedContexts(entries: Context | undefined): (sessionId: string) => BindingContext {
  const known = boundedMap<BindingContext>(MAX_CONTEXTS);
  return (sessionId) => getOrMake(known, sessionId, () => bindingContext(sessionId, entries));
}
