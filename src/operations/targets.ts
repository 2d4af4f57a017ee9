import type { Session } from '@openai/agents';
import { holdsConversation, lineageOf } from '../derived-id.ts';
import type { DekStore } from '../keys/dek-store.ts';
import { invalidOption } from '../options.ts';
import { MAINTENANCE } from '../session-contract.ts';
import type { Store } from '../stores/store.ts';
import { innermostOf } from '../wrap-session.ts';
import { isKey } from './erasure/tombstones.ts';
import { listed } from './listed.ts';

/** A wrapped store, or one wrapped session. */
export type SealedTarget = Store | Session;

export function isStore(value: unknown): value is Store {
  return typeof (value as Store | null)?.sessions === 'function';
}

export function isDekStore(value: unknown): value is DekStore {
  return typeof (value as DekStore | null)?.replaceWrapped === 'function';
}

export function isSession(value: unknown): value is Session {
  return typeof (value as Session | null)?.getItems === 'function';
}

/** Whether a session of this id holds items that a stack seals: those of a conversation, or of a vault. */
export function holdsSealed(id: string): boolean {
  return holdsConversation(id) || isVault(id);
}

export function isVault(id: string): boolean {
  return lineageOf(id)?.kind === 'vault';
}

/** The sessions of a store that hold items that a stack seals, or the one session. */
export async function* sealedSessionsOf(where: string, target: SealedTarget): AsyncIterable<Session> {
  if (isStore(target)) {
    for await (const { id } of listed(target, { derived: 'all' })) {
      if (holdsSealed(id)) yield target.session(id, { derived: true });
    }
    return;
  }
  if (!isSession(target)) invalidOption(where, 'target', 'a wrapped session or a wrapped store', target);
  yield target;
}

/**
 * The same, and the sessions without items that still have data keys in the store's own table: their items expired
 * or were cleared, but their data keys still need a key-encryption key.
 */
export async function* sessionsWithKeysOf(where: string, target: SealedTarget): AsyncIterable<Session> {
  yield* sealedSessionsOf(where, target);
  const table = isStore(target) ? target[MAINTENANCE]?.dekStore : undefined;
  if (table === undefined || !isStore(target)) return;
  const empty = new Set<string>();
  for await (const record of table.list()) {
    const { sessionId } = record;
    if (!isKey(record) || empty.has(sessionId)) continue;
    const session = target.session(sessionId, { derived: true });
    if ((await innermostOf(session).getItems(1)).length > 0) continue;
    empty.add(sessionId);
    yield session;
  }
}
