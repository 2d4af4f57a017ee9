import type { Session, SessionHistoryTransactionAwareSession } from '@openai/agents';
import { lineageOf } from '../derived-id.ts';
import { StrongroomError } from '../errors.ts';

/** What an item of a usage ledger calls itself; no item of a conversation does. */
export const USAGE_RECORD = 'strongroom.usage';

/** The members by which a run reaches a history. */
type Guarded = Partial<
  Pick<Session, 'addItems' | 'prepareHistoryItemForModelInput'> &
    Pick<SessionHistoryTransactionAwareSession, 'applyHistoryTransaction'>
> & { replaceHistoryWithCompaction?(...args: never[]): Promise<void> };
type Write = (first: unknown, ...rest: unknown[]) => Promise<void>;

/** The arguments of writes that a stack of layers passes on: it has checked them, and may store them in another form. */
const checked = new WeakSet<object>();

/** Says that the caller of a session has checked what it writes. */
export function passOn(id: string | undefined, written: object): void {
  if (isLedger(id)) checked.add(written);
}

/**
 * The members of a usage ledger that differ from those of a conversation, none for any other session. It takes records of
 * usage only, and a run on it ends before its records reach a model.
 */
export function ledgerMembers(id: string | undefined, session: Guarded): Guarded {
  if (id === undefined || !isLedger(id)) return {};
  const guarded = (name: 'addItems' | 'replaceHistoryWithCompaction' | 'applyHistoryTransaction'): object => {
    const write = session[name] as Write | undefined;
    if (write === undefined) return {};
    const member: Write = async (first, ...rest) => {
      if (!checked.has(first as object) && !itemsOf(first).every(isUsageRecord)) throw noConversation(id);
      await write.call(session, first, ...rest);
    };
    return { [name]: member };
  };
  return {
    ...guarded('addItems'),
    ...guarded('replaceHistoryWithCompaction'),
    ...guarded('applyHistoryTransaction'),
    prepareHistoryItemForModelInput: () => {
      throw noConversation(id);
    },
  };
}

function isLedger(id: string | undefined): boolean {
  return id !== undefined && lineageOf(id)?.kind === 'usage';
}

function isUsageRecord(item: unknown): boolean {
  const { type, providerData } = (item ?? {}) as { type?: unknown; providerData?: { type?: unknown } };
  return type === 'unknown' && providerData?.type === USAGE_RECORD;
}

/** The items of a list, or of a transaction; their form is checked by who stores them. */
function itemsOf(written: unknown): unknown[] {
  const { transaction } = (written ?? {}) as { transaction?: { items?: unknown; replacement?: unknown } };
  const items = transaction === undefined ? written : (transaction.items ?? transaction.replacement);
  return Array.isArray(items) ? items : [];
}

function noConversation(id: string): StrongroomError {
  return new StrongroomError(
    'ERR_UNSUPPORTED',
    `Session ${JSON.stringify(id)} is the usage ledger of a conversation: it takes records of usage only, and they never reach a model. ` +
      'Run on the conversation itself; read the ledger with sessionUsage().',
    { written: 'no' },
  );
}
