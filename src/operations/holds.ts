import { randomName } from '../crypto/random.ts';
import { defined } from '../defined.ts';
import { StrongroomError } from '../errors.ts';
import {
  type HoldStore,
  type HoldRecord,
  type DekStore,
  checkHold,
  heldError,
  openHoldOn,
} from '../keys/dek-store.ts';
import type { CallOrigin } from '../layer.ts';
import { ancestorsOf } from '../derived-id.ts';
import { checkText, MAX_BYTES } from '../limits.ts';
import { invalidOption } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { MAINTENANCE } from '../session-contract.ts';
import { keyAccess } from './access.ts';
import { asCall } from './as-call.ts';
import { keyPlacesOf, type KeyTarget } from './key-places.ts';
import { isDekStore, isStore } from './targets.ts';

/** Options of {@link hold}. */
export interface HoldOptions extends CallOrigin {
  /** The reason, for readers of the record years later. At most 65,535 bytes in UTF-8. */
  readonly reason: string;
  /** Who placed it. At most 512 bytes in UTF-8. */
  readonly by?: string;
  /** Needed when the target is a DEK store or a store; a wrapped session has its own. */
  readonly sessionId?: string;
  /** At most 512 bytes in UTF-8. @defaultValue random */
  readonly id?: string;
}

/**
 * Places a legal hold on a session: until it is released nothing of it is removed. `clearSession`, `popItem`,
 * compactions, mutations, replacements that do not put everything back, summaries and archives, `deleteSession`,
 * purges, `shred` and `purgeDataKeys` are `ERR_HELD` or skip the session; `reencrypt` reports it. It also covers
 * the derived sessions (branches, archives, vaults, …), also later ones. Reads, appends and runs continue as
 * before; items that a failed run would undo stay. The record of the hold stays after its release.
 *
 * On our stores the transaction that removes checks the hold. Elsewhere the hold is stored with the data keys (in
 * every DEK store but `sessionDekStore`), and the wrapper checks it before it removes. It does not prevent direct
 * deletion of rows in the database.
 *
 * With a `dekStore` of `encrypt()`, place and release holds on the wrapped store or session: only these know both
 * databases, and have the hold in both. A hold on the DEK store alone does not stop `purgeExpired()`, `retention({
 * expired: true })`, or calls on the bare store; one on the bare store does not stop `purgeDataKeys(dekStore)`. A
 * release on one of them leaves the hold in the other.
 *
 * @param target A wrapped session, its store, wrapped or not, or the DEK store that has its data keys.
 * @throws `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` when the DEK store has no holds; `ERR_CONFLICT` when the id is
 * taken.
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring, wrapStore } from 'strongroom';
 * import { hold, release, sqliteDekStore } from 'strongroom/keys';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * await using dekStore = sqliteDekStore(':memory:');
 * const keys = keyring({ current: await generateKey() });
 * await using sessions = wrapStore(openSqlite(':memory:'), [encrypt({ keys, dekStore })]);
 * const { id } = await hold(sessions, { sessionId: 'user-123', reason: 'case 7', by: 'counsel' });
 * await release(sessions, id, { by: 'counsel' });
 * ```
 */
export async function hold(target: KeyTarget, options: HoldOptions): Promise<HoldRecord> {
  return asCall(target, 'hold', options, async () => place(target, options));
}

async function place(target: KeyTarget, options: HoldOptions): Promise<HoldRecord> {
  checkCall('hold', options, ['reason', 'by', 'sessionId', 'id']);
  const { reason, by, id = randomName() } = options;
  const { stores, sessionId, now } = await resolve('hold', target, options.sessionId, originOf(options));
  const record: HoldRecord = defined({ id, sessionId, reason, placedAt: now, placedBy: by });
  checkHold('hold', record);
  const placed: HoldStore[] = [];
  for (const store of stores) {
    if (await store.place(record)) placed.push(store);
    else {
      // All places or none: an open hold that nobody knows of would never be released.
      for (const each of placed) await each.release(id, now, by);
      throw holdExists(id);
    }
  }
  return record;
}

/**
 * Releases a hold. The first release counts, later ones return the same record. On the target that {@link hold} was
 * called with, or the wrapped store, which releases it in all its databases.
 *
 * @throws `ERR_INVALID_OPTION` when there is no hold of this id; `ERR_UNSUPPORTED` as {@link hold}.
 */
export async function release(
  target: KeyTarget,
  id: string,
  options: { readonly by?: string } & CallOrigin = {},
): Promise<HoldRecord> {
  return asCall(target, 'release', options, async () => lift(target, id, options));
}

async function lift(
  target: KeyTarget,
  id: string,
  options: { readonly by?: string } & CallOrigin,
): Promise<HoldRecord> {
  checkCall('release', options, ['by']);
  checkText('release', 'id', id, MAX_BYTES.holdId);
  if (options.by !== undefined) checkText('release', 'by', options.by, MAX_BYTES.by);
  const { stores, now } = await resolve('release', target, '', originOf(options));
  let released: HoldRecord | undefined;
  for (const store of stores) released = (await store.release(id, now, options.by)) ?? released;
  if (released === undefined) throw noHold(id);
  return released;
}

export function holdExists(id: string): StrongroomError {
  return new StrongroomError(
    'ERR_CONFLICT',
    `hold: a hold with the id ${JSON.stringify(id)} already exists. Choose another id.`,
  );
}

export function noHold(id: string): StrongroomError {
  return new StrongroomError(
    'ERR_INVALID_OPTION',
    `release: no hold has the id ${JSON.stringify(id)}. Pass the id that hold() was called with.`,
  );
}

/**
 * @throws {@link StrongroomError} `ERR_HELD` when a hold on the session, or on one that it was derived from, is
 * open in this store.
 */
export async function openHold(store: DekStore, sessionId: string): Promise<void> {
  const hold = await openHoldOn(store, sessionId);
  if (hold !== undefined) throw heldError(sessionId, hold);
}

/**
 * @throws {@link StrongroomError} `ERR_HELD` when a hold is open in this store on a session that is derived from this one. It can
 * have no row yet, so that no tree has it.
 */
export async function openHoldBelow(store: DekStore, sessionId: string): Promise<void> {
  const holds = (await store.holds?.list({ open: true })) ?? [];
  const below = holds.find((hold) => ancestorsOf(hold.sessionId).includes(sessionId));
  if (below !== undefined) throw heldError(below.sessionId, below.id);
}

async function resolve(
  where: 'hold' | 'release',
  target: KeyTarget,
  sessionId: string | undefined,
  origin: CallOrigin,
): Promise<{ stores: HoldStore[]; sessionId: string; now: number }> {
  if (isDekStore(target) || isStore(target)) {
    if (typeof sessionId !== 'string') invalidOption(where, 'sessionId', 'a session id', sessionId);
    const places = await keyPlacesOf(where, target);
    const found = places.stores.map((store) => holdsOf(where, store));
    if (found.length === 0) unsupported(where);
    // A DEK store has no clock.
    const now = isStore(target) ? target[MAINTENANCE]?.now() : undefined;
    return { stores: found, sessionId, now: now ?? Date.now() };
  }
  const access = await keyAccess(where, target, origin);
  // The session's own database is among them: there a hold stops removals of items, in the same transaction.
  const stores = access.scope.stores.map((store) => holdsOf(where, store));
  if (stores.length === 0) unsupported(where);
  return { stores, sessionId: access.sessionId, now: access.scope.now };
}

function holdsOf(where: string, store: DekStore): HoldStore {
  return store.holds ?? unsupported(where);
}

function unsupported(where: string): never {
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    `${where}: the DEK store of this session does not support holds. Use sqliteDekStore(), or another DEK store with \`holds\`.`,
  );
}
