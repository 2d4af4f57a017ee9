import { checkContext } from '../../context.ts';
import { bindingContext } from '../../crypto/derive.ts';
import type { DataKeyScope } from '../../keys/data-keys/types.ts';
import type { SessionCall } from '../../layer.ts';
import { isGuarding } from '../../session-contract.ts';
import { checkKeyring, type EncryptSettings } from './options.ts';

/** The keyring, the context and the DEK stores of a call. */
export type ScopeOf = (call: SessionCall) => Promise<DataKeyScope>;

export function createScopeOf({
  keys,
  context,
  dekStore,
}: Pick<EncryptSettings, 'keys' | 'context' | 'dekStore'>): ScopeOf {
  return async (call) => {
    const ring = typeof keys === 'function' ? checkKeyring(await keys(call)) : keys;
    const entries = typeof context === 'function' ? checkContext('encrypt', await context(call)) : context;
    const stores = [
      ...(dekStore === undefined || dekStore === 'inline' ? [] : [dekStore]),
      ...(call.dekStore === undefined ? [] : [call.dekStore]),
    ];
    return {
      ring,
      sessionId: call.sessionId,
      context: bindingContext(call.sessionId, entries),
      stores,
      inline: dekStore === 'inline',
      guarding: isGuarding(call.dekStore) ? call.dekStore : undefined,
      now: call.now(),
    };
  };
}
