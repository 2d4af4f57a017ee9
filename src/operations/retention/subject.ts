import type { AgentInputItem, Session } from '@openai/agents';
import { holdsConversation } from '../../derived-id.ts';
import type { CallOrigin } from '../../layer.ts';
import { checkText, MAX_BYTES } from '../../limits.ts';
import { checkCall, originOf, refuseOrigin } from '../../protocol/call-origin.ts';
import { CALLS, type StoreCalls } from '../../session-contract.ts';
import type { Store } from '../../stores/store.ts';
import { detailsOf, type ItemDetails } from '../item-details.ts';
import { listed } from '../listed.ts';

/** A session of a subject, in clear. */
export interface ExportedSession {
  readonly id: string;
  /** `'conversation'`, or the kind of a derived session: `'branch'`, `'archive'`, `'usage'`, … */
  readonly kind: string;
  /** Its conversation. */
  readonly root: string;
  readonly items: readonly AgentInputItem[];
  /** Of a wrapped store: one element an item. */
  readonly details?: readonly ItemDetails[];
}

/**
 * All sessions of a subject and their derived sessions, without data keys and vaults: through the layers of a
 * wrapped store they are in clear, as a request for access requires.
 *
 * @param subject As given to `session(id, { subject })`.
 * @param origin The caller and the reason. On a wrapped store this is a call on the store and one on each session;
 * a store without layers cannot report it and refuses it (`ERR_INVALID_OPTION`).
 *
 * @example
 * ```ts
 * import { exportSubject } from 'strongroom/retention';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * await using store = openSqlite('conversations.db');
 * for await (const { id, items } of exportSubject(store, 'person-7')) console.log(id, items.length);
 * ```
 */
export async function* exportSubject<S extends Session>(
  store: Store<S>,
  subject: string,
  origin: CallOrigin = {},
): AsyncGenerator<ExportedSession> {
  const calls = store[CALLS];
  await asked(calls, 'exportSubject', subject, origin);
  for await (const { id, kind, root } of listed(store, { subject, derived: 'all' })) {
    if (!holdsConversation(id)) continue;
    const session = { id, kind: kind ?? 'conversation', root: root ?? id };
    if (calls === undefined) {
      yield { ...session, items: await store.session(id, { derived: true }).getItems() };
    } else {
      const entries = await calls.entries(id, 'exportSubject', origin);
      yield { ...session, items: entries.map(({ item }) => item), details: entries.map(detailsOf) };
    }
  }
}

/** The call on the store as a whole, in which the arguments are checked. */
async function asked(
  calls: StoreCalls | undefined,
  kind: 'exportSubject',
  subject: unknown,
  origin: CallOrigin,
): Promise<void> {
  const check = async (): Promise<void> => {
    checkCall(kind, origin, []);
    if (calls === undefined) refuseOrigin(kind, origin);
    checkSubject(kind, subject);
  };
  await (calls === undefined ? check() : calls.whole(kind, originOf(origin), check));
}

function checkSubject(where: string, subject: unknown): asserts subject is string {
  checkText(where, 'subject', subject, MAX_BYTES.subject);
}
