import { lineageOf } from '../derived-id.ts';
import { StrongroomError } from '../errors.ts';
import type { Admit, Guarded, Ledger } from '../session-contract.ts';

/** What an item of a usage ledger calls itself; no item of a conversation does. */
export const USAGE_RECORD = 'strongroom.usage';

const WRITES = ['addItems', 'replaceHistoryWithCompaction', 'applyHistoryTransaction'] as const;

type Write = (first: unknown, ...rest: unknown[]) => Promise<void>;

/**
 * What a usage ledger does otherwise than a conversation; `undefined` for any other session. It takes records of usage
 * only, and a run on it ends before its records reach a model.
 *
 * @param admit - Of its store: a closed one says that first.
 */
export function ledgerOf(id: string, admit: Admit | undefined): Ledger | undefined {
  if (lineageOf(id)?.kind !== 'usage') return undefined;
  // What a stack of layers passes on: it has checked that, and may store it in another form.
  const checked = new WeakSet<object>();

  const check = (written: unknown): void => {
    if (itemsOf(written).every(isUsageRecord)) return;
    admit?.()();
    throw noConversation(id);
  };

  function guarded(session: Guarded, name: (typeof WRITES)[number]): Guarded {
    const write = session[name] as Write | undefined;
    if (write === undefined) return {};
    const member: Write = async (first, ...rest) => {
      if (!checked.has(first as object)) check(first);
      await write.call(session, first, ...rest);
    };
    return { [name]: member };
  }

  return {
    membersOf: (session) =>
      Object.assign(
        {
          prepareHistoryItemForModelInput: () => {
            throw noConversation(id);
          },
        },
        ...WRITES.map((name) => guarded(session, name)),
      ) as Guarded,
    check,
    passOn: (written) => void checked.add(written),
  };
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
