import type { Session } from '@openai/agents';
import { defined } from '../defined.ts';
import { checkReserved } from '../derived-id.ts';
import { StrongroomError } from '../errors.ts';
import type { CallKind, CallOrigin } from '../layer.ts';
import { checkSessionId, checkText, MAX_BYTES } from '../limits.ts';
import { invalidOption } from '../options.ts';
import { checkCall, originOf, refuseOrigin } from '../protocol/call-origin.ts';
import { CALLS, MAINTENANCE } from '../session-contract.ts';
import type { Store } from '../stores/store.ts';
import { innermostOf } from '../wrap-session.ts';
import { checkReceiptKey, openReceipt, signReceipt, tryReceiptKey, type ReceiptKey } from './erasure/jws.ts';
import { erasedBefore } from './erasure/came-back.ts';
import { lookForRests } from './erasure/look.ts';
import { eraseTrees, type ErasureTarget } from './erasure/remove.ts';
import type {
  EraseOptions,
  Erasure,
  ErasedCount,
  ErasedSession,
  ErasureReport,
  Orphan,
} from './erasure/report.ts';
import { createUnfinished } from './erasure/unfinished.ts';
import { keyPlacesOf } from './key-places.ts';
import { listed } from './listed.ts';

/**
 * Erases all sessions of a subject with their derived sessions (branches, archives, ledgers, vaults, …) and with
 * their data keys, also those in the `dekStore` of `encrypt()`; then independent code searches for the rest.
 * Sessions under a legal hold are kept and reported. After an interruption repeat the call: it
 * erases the rest, and its report and receipt also name what the interrupted call had removed. Once the call has ended,
 * no other names it again: keep the receipt.
 *
 * It does not stop other processes, and ends while they write: `orphans` has what they left until `at`. Stop them, and
 * call it again, then {@link eraseSession} for each conversation of the report, whose later branches have no subject.
 *
 * The deletion and the search each read all data keys of the store once.
 *
 * @param store A store of strongroom, wrapped or not.
 * @param subject As given to `session(id, { subject })`.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` for another store.
 *
 * @example
 * ```ts
 * import { eraseSubject } from 'strongroom/retention';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * await using store = openSqlite('conversations.db');
 * const { kinds, held, orphans } = await eraseSubject(store, 'person-7', { reason: 'request 4711' });
 * console.log(kinds, held, orphans);
 * ```
 */
export async function eraseSubject<S extends Session>(
  store: Store<S>,
  subject: string,
  options: EraseOptions = {},
): Promise<ErasureReport> {
  const where = 'eraseSubject';
  const check = (): void => {
    checkEraseOptions(where, store, options);
    checkText(where, 'subject', subject, MAX_BYTES.subject);
  };
  await asked(store, where, options, check);
  const target = await targetOf(store, where, options);
  const ids = await target.maintenance.ofSubject(subject);
  return erase(target, where, ids, { subject }, options);
}

/**
 * The same for one session, of any subject or none.
 *
 * @throws {@link StrongroomError} as {@link eraseSubject}.
 */
export async function eraseSession<S extends Session>(
  store: Store<S>,
  id: string,
  options: EraseOptions & { readonly derived?: boolean } = {},
): Promise<ErasureReport> {
  const where = 'eraseSession';
  const { derived, ...rest } = options;
  checkSessionId(where, id);
  checkReserved(where, id, derived);
  checkEraseOptions(where, store, rest);
  const target = await targetOf(store, 'deleteSession', rest);
  return erase(target, where, [id], { sessionId: id }, rest);
}

/**
 * Searches again for erased data: from a restored backup, or from a copy. Records that were written to an erased id
 * later are not a finding.
 *
 * @param erased A report, or the result of {@link verifyReceipt}.
 * @returns The findings; nothing is changed.
 * @throws {@link StrongroomError} `ERR_UNSUPPORTED` for a store that is not ours.
 */
export async function verifyErasure<S extends Session>(
  store: Store<S>,
  erased: Erasure,
  origin: CallOrigin = {},
): Promise<readonly Orphan[]> {
  const where = 'verifyErasure';
  let found: readonly Orphan[] = [];
  const work = async (): Promise<void> => {
    if (erased?.type !== 'strongroom/erasure')
      invalidOption(where, 'erased', 'the report of an erasure', undefined);
    checkCall(where, origin, []);
    const { maintenance, places } = await targetOf(store, 'eraseSubject', origin);
    found = (await lookForRests({ maintenance, places }, erased, erased.at)).orphans;
  };
  const calls = store?.[CALLS];
  if (calls === undefined) refuseOrigin(where, origin);
  await (calls === undefined ? work() : calls.whole('checkKeys', originOf(origin), work));
  return found;
}

/** An erased session that was restored. */
export interface ReturnedSession {
  readonly id: string;
  /** When it was erased, in Unix milliseconds. */
  readonly erasedAt: number;
}

/**
 * Sessions that hold records from before they were erased, by the tombstones that erasures leave with the data
 * keys: when these are in a separate database, a restored backup of the records does not remove them. It makes one
 * query for each session of the store. On a wrapped store it is a call `checkKeys` on the store, which ends before the first session is returned. When records and tombstones are restored together, only receipts show it:
 * {@link verifyErasure}.
 */
export async function* returnedSessions<S extends Session>(
  store: Store<S>,
  origin: CallOrigin = {},
): AsyncGenerator<ReturnedSession> {
  const where = 'returnedSessions';
  const calls = store?.[CALLS];
  const found = searchReturned(store);
  const begin = async (): Promise<IteratorResult<ReturnedSession>> => {
    checkCall(where, origin, []);
    return found.next();
  };
  if (calls === undefined) refuseOrigin(where, origin);
  let next = await (calls?.whole('checkKeys', originOf(origin), begin) ?? begin());
  for (; next.done !== true; next = await found.next()) yield next.value;
}

/** The same for work that is a call itself. */
export async function* searchReturned(store: Store): AsyncGenerator<ReturnedSession> {
  const { maintenance, places } = await targetOf(store, 'eraseSubject', {});
  for await (const summary of listed(store, { derived: 'all' })) {
    for (const each of places.stores) {
      const at = await erasedBefore(each, maintenance, summary);
      if (at === undefined) continue;
      yield { id: summary.id, erasedAt: at };
      break;
    }
  }
}

/**
 * Checks a receipt of {@link eraseSubject} or {@link eraseSession}: that the key signed this payload, and that it
 * is about the given subject or session. Any program for JWS (RFC 7515) can check the signature.
 *
 * @param key The public half of the `receiptKey`.
 * @param about The subject or session that the receipt must be about.
 * @throws {@link StrongroomError} `ERR_AUTHENTICATION`; `ERR_INVALID_OPTION` for an invalid key.
 */
export async function verifyReceipt(
  receipt: string,
  key: ReceiptKey,
  about: { readonly subject?: string; readonly sessionId?: string } = {},
): Promise<Erasure> {
  const where = 'verifyReceipt';
  const payload = (await openReceipt(where, receipt, key)) as Partial<Erasure> | null;
  const isOurs = payload?.type === 'strongroom/erasure' && payload.version === 1;
  for (const name of ['subject', 'sessionId'] as const) {
    if (isOurs && (about[name] === undefined || about[name] === payload[name])) continue;
    throw new StrongroomError(
      'ERR_AUTHENTICATION',
      `${where}: the receipt is signed, and not about the ${name} that was asked for.`,
    );
  }
  // Signed by the user's key, which signs the result of erase() below.
  return payload as Erasure;
}

async function erase(
  target: ErasureTarget,
  where: string,
  ids: readonly string[],
  about: { readonly subject: string } | { readonly sessionId: string },
  { reason, by, receiptKey, signal, onProgress }: EraseOptions,
): Promise<ErasureReport> {
  if (receiptKey !== undefined) await tryReceiptKey(where, receiptKey);
  const { maintenance, places } = target;
  const unfinished = createUnfinished(maintenance, about);
  const { sessions, held, newest } = await eraseTrees(
    target,
    ids,
    defined({ signal, onProgress, whole: 'subject' in about, unfinished }),
  );
  const found = { sessions, held, ...about };
  // Before the search, so that all that was written until then is deleted or found.
  const now = maintenance.now();
  // What a process with a clock ahead wrote is older than the erasure, too.
  const at = Math.max(now, newest ?? now);
  const { orphans, needed } = await lookForRests({ maintenance, places }, found);
  const erasure: Erasure = defined({
    type: 'strongroom/erasure' as const,
    version: 1 as const,
    at,
    ...about,
    reason,
    by,
    sessions,
    kinds: countKinds(sessions),
    held,
    orphans,
    needed: needed.length > 0 ? needed : undefined,
    notReached: NOT_REACHED,
  });
  const receipt = receiptKey === undefined ? undefined : await signReceipt(where, erasure, receiptKey);
  await unfinished.end();
  return defined({ ...erasure, deleted: sessions.map(({ id }) => id), receipt });
}

function countKinds(sessions: readonly ErasedSession[]): Record<string, ErasedCount> {
  const kinds: Record<string, ErasedCount> = {};
  for (const { kind, records } of sessions) {
    const before = kinds[kind] ?? { sessions: 0, records: 0 };
    kinds[kind] = { sessions: before.sessions + 1, records: before.records + records };
  }
  return kinds;
}

/** docs/deletion.md has more of each. */
const NOT_REACHED: readonly string[] = [
  'Backups, snapshots, archived logs and replicas of the databases, and what their files keep until they are written anew.',
  'The memory of other processes, until their caches of opened keys end.',
  'Archives, vaults and ledgers that were given a place in another store, and sessions of no store of strongroom.',
  'What left the store before: exports, transfers, traces, and copies at the model provider.',
];

function checkEraseOptions(where: string, store: Store | undefined, options: EraseOptions): void {
  checkCall(where, options, ['reason', 'by', 'receiptKey', 'signal', 'onProgress']);
  const { reason, by, receiptKey } = options;
  for (const [name, value] of Object.entries({ reason, by })) {
    if (value !== undefined && typeof value !== 'string') invalidOption(where, name, 'a text', value);
  }
  if (receiptKey !== undefined) checkReceiptKey(where, receiptKey);
  if (store?.[CALLS] === undefined) refuseOrigin(where, options);
}

/** The call on the store as a whole, in which the arguments are checked. */
async function asked(store: Store, kind: CallKind, origin: CallOrigin, check: () => void): Promise<void> {
  const calls = store?.[CALLS];
  const work = async (): Promise<void> => check();
  await (calls === undefined ? work() : calls.whole(kind, originOf(origin), work));
}

async function targetOf(store: Store, kind: CallKind, options: CallOrigin): Promise<ErasureTarget> {
  const maintenance = store?.[MAINTENANCE];
  if (maintenance === undefined) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `${kind} needs a store of strongroom, because another one does not say what belongs to a session.`,
    );
  }
  const calls = store[CALLS];
  const origin = originOf(options);
  return {
    maintenance,
    places: await keyPlacesOf(kind, store),
    async remove(id, before) {
      const work = async (): Promise<void> => {
        await before();
        await maintenance.drop(id);
      };
      await (calls === undefined ? work() : calls.removing(id, kind, origin, work));
    },
    clear: async (id) => innermostOf(store.session(id, { derived: true })).clearSession(),
  };
}
