import { CALLS, type SessionSummary } from '../session-contract.ts';
import type { SessionsOptions, Store } from '../stores/store.ts';

/**
 * The sessions of a store, for work that is already a call of its own: listing a wrapped store is not another call.
 */
export function listed(store: Store, options: SessionsOptions): AsyncIterable<SessionSummary> {
  return store[CALLS]?.list(options) ?? store.sessions(options);
}
