/** The stack around every conversation, and whose conversation an id is. */
import {
  audit,
  authorize,
  cache,
  encrypt,
  exclusive,
  expire,
  redact,
  wrapStore,
  type AuditEvent,
  type Keyring,
  type SessionCall,
  type Store,
} from 'strongroom';
import type { Session } from '@openai/agents';
import { sessionId, subjectOf } from 'strongroom/history';
import type { Caller } from './callers.ts';

/** What {@link openConversations} needs. */
export interface ConversationsOptions {
  readonly store: Store;
  readonly keysOf: (tenant: string) => Keyring;
  /** Gets who did what with which conversation, without content. */
  readonly sink: (event: AuditEvent) => void;
}

/** The conversations of all tenants. */
export interface Conversations {
  /** @param id What the caller knows: a UUID. The session in the database also has the names of tenant and user. */
  of(caller: Caller, id: string): Session;
  /** Waits until the sink has every event. */
  flush(): Promise<unknown>;
}

/** All conversations of a user have the subject `tenant:user`: `eraseSubject(store, 'acme:ada')` finds them. */
export function openConversations({ store, keysOf, sink }: ConversationsOptions): Conversations {
  // #region stack
  const log = audit({ sink, actor: (call) => ownerOf(callerOf(call)) });
  const sessions = wrapStore(store, [
    log,
    // The id in the database is made from the caller, so this refuses what a mistake in this service would open.
    authorize({ check: (call) => subjectOf(call.sessionId, 2) === ownerOf(callerOf(call)) }),
    exclusive(),
    redact(),
    expire({ after: '30d' }),
    cache({ maxBytes: 64 * 2 ** 20 }),
    encrypt({
      keys: (call) => keysOf(tenantOf(call)),
      context: (call) => ({ tenant: tenantOf(call) }),
    }),
  ]);
  // #endregion
  return {
    of(caller, id) {
      // A tenant without a key is refused here, before the database is asked.
      keysOf(caller.tenant);
      const subject = sessionId(caller.tenant, caller.user);
      return sessions.session(sessionId(caller.tenant, caller.user, id), { subject });
    },
    flush: async () => log.flush(),
  };
}

function callerOf(call: SessionCall): Caller | undefined {
  return call.runContext?.context as Caller | undefined;
}

function ownerOf(caller: Caller | undefined): string | undefined {
  return caller === undefined ? undefined : sessionId(caller.tenant, caller.user);
}

function tenantOf(call: SessionCall): string {
  return callerOf(call)?.tenant ?? '';
}
