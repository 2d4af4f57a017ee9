import type { Session } from '@openai/agents';
import { holdsConversation, isReserved } from '../derived-id.ts';
import { listed } from '../operations/listed.ts';
import type { Store } from '../stores/store.ts';
import { shown, type Output } from './output.ts';

/** The session of an id from the command line, which can name what belongs to a conversation, too. */
export function sessionOf(store: Store, id: string): Session {
  return store.session(id, isReserved(id) ? { derived: true } : {});
}

export function oneOrAll(store: Store, id: string | undefined): Session | Store {
  return id === undefined ? store : sessionOf(store, id);
}

/** How many sessions, and how many items in them, a command looks at. Default: those that hold items of conversations. */
export async function countSessions(
  store: Store,
  isMeant: (id: string) => boolean = holdsConversation,
): Promise<{ sessions: number; items: number }> {
  const sums = { sessions: 0, items: 0 };
  for await (const { id, items } of listed(store, { derived: 'all' })) {
    if (!isMeant(id)) continue;
    sums.sessions++;
    sums.items += items;
  }
  return sums;
}

/** An id with a typing error looks like a session without records: the store cannot tell them apart. */
function noRecords(id: string): string {
  return `${shown(id)} has no records in this store. "strongroom sessions" lists the ids.`;
}

/** For what only shows the session. */
export function hintNoRecords(output: Output, id: string): void {
  output.hint(noRecords(id));
}

/** A finding, for what says of the session that all of it is well. */
export function reportNoRecords(output: Output, id: string): void {
  output.line('missing', { id }, noRecords(id));
}
