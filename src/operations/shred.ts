import type { AgentInputItem, Session } from '@openai/agents';
import { defined } from '../defined.ts';
import { isBranch, lineageOf } from '../derived-id.ts';
import { StrongroomError } from '../errors.ts';
import type { DekRecord } from '../keys/dek-store.ts';
import type { CallOrigin } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { envelopeText, readHeader } from '../protocol/envelope.ts';
import { recordOrigin } from '../protocol/record-origin.ts';
import { deriveOf } from '../session-contract.ts';
import { countKinds } from '../stores/tree.ts';
import { engineOf } from '../wrap-session.ts';
import { keyAccess } from './access.ts';
import { isKey } from './erasure/tombstones.ts';
import { openHold, openHoldBelow } from './holds.ts';
import { departureOf, destroyUnneeded, neededNow, type SharedRecord } from './shared-keys.ts';
import { isSession } from './targets.ts';

/** Records what was destroyed, when, and by whom: keep it for auditors. It holds no content and no key. */
export interface ShredReceipt {
  readonly type: 'strongroom/shred';
  readonly version: 1;
  readonly sessionId: string;
  /** Unix milliseconds. */
  readonly at: number;
  /** The data keys that were destroyed, those of what belongs to it included, and the key-encryption keys that wrapped them. */
  readonly keys: readonly { readonly did: string; readonly kid: string }[];
  /** How many sessions that belong to it (branches, archives, vaults, …) were shredded with it, by kind. */
  readonly derived: Readonly<Record<string, number>>;
  /** Whether the rows were removed, too. They are unreadable either way. */
  readonly rowsCleared: boolean;
  readonly reason?: string;
  readonly by?: string;
}

/** Options of {@link shred}. */
export interface ShredOptions extends CallOrigin {
  /** Why, for the receipt. */
  readonly reason?: string;
  /** Who, for the receipt. */
  readonly by?: string;
  /** Gets the receipt; when it throws, so does `shred`, after the destruction. */
  readonly onReceipt?: (receipt: ShredReceipt) => void | Promise<void>;
}

/**
 * Makes a session and all that belongs to it (branches, archives, vaults, …) unreadable for good, in every copy of its items:
 * destroys its data keys, drops them from this process, then removes the rows; of a branch it removes the rows first. Records that a branch
 * shares with the conversation or with another branch stay readable there, and so do their data keys. Other processes drop opened keys
 * after `dataKeys.cacheFor` (five minutes by default). It does not reach copies of the keys: a backup of the DEK
 * store still has them, and the default DEK table of our stores is in the same database as the items; give
 * `encrypt()` a `dekStore` elsewhere for an erasure that reaches backups.
 *
 * @throws `ERR_HELD` while a hold is open; `ERR_UNSUPPORTED` when data keys are inline, because copies of the items
 * have them, too. Nothing is destroyed then.
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { encrypt, generateKey, keyring, wrapSession } from 'strongroom';
 * import { memoryDekStore, shred } from 'strongroom/keys';
 *
 * const keys = keyring({ current: await generateKey() });
 * const session = wrapSession(new MemorySession(), [encrypt({ keys, dekStore: memoryDekStore() })]);
 * const receipt = await shred(session, { reason: 'request 4711', by: 'privacy team' });
 * ```
 */
export async function shred(session: Session, options: ShredOptions = {}): Promise<ShredReceipt> {
  const origin = originOf(options);
  const work = async (): Promise<ShredReceipt> => destroy(session, options, origin);
  const engine = isSession(session) ? engineOf(session) : undefined;
  // As a removal, so that a cache of plaintext above the seal drops its entries, too.
  const receipt = await (engine === undefined ? work() : engine.rare().removed('shred', origin, work));
  await options.onReceipt?.(receipt);
  return receipt;
}

async function destroy(session: Session, options: ShredOptions, origin: CallOrigin): Promise<ShredReceipt> {
  checkCall('shred', options, ['reason', 'by', 'onReceipt']);
  const { reason, by } = options;
  for (const [name, value] of Object.entries({ reason, by })) {
    if (value !== undefined && typeof value !== 'string') invalidOption('shred', name, 'a text', value);
  }
  const { sessionId, inner, sealer, scope } = await keyAccess('shred', session, origin);
  if (scope.inline || scope.stores.length === 0) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `shred: the data keys of session ${JSON.stringify(sessionId)} are stored inline in its envelopes, so every copy of the items ` +
        'contains them. Use a DEK store; clearSession() removes the rows.',
    );
  }
  const derive = deriveOf(inner);
  // Not a log of destroyed keys: its records must stay.
  const tree = ((await derive?.tree(sessionId)) ?? []).filter((id) => lineageOf(id)?.kind !== 'keys');
  const parts = [
    ...tree.map((id) => ({ id, rows: derive?.open(id) as Session })),
    { id: sessionId, rows: inner },
  ];
  const shared = new Map<string, readonly SharedRecord[]>();
  for (const { id, rows } of parts) {
    const items = await rows.getItems();
    refuseInlineKeys(id, items);
    shared.set(id, sharedRecords(items));
  }
  const refuseHeld = async (): Promise<void> => {
    for (const store of scope.stores) {
      for (const { id } of parts) await openHold(store, id);
      await openHoldBelow(store, sessionId);
    }
  };
  // Checked in all stores before anything is destroyed in one; each checks again in its own transaction.
  await refuseHeld();
  const going = parts.map(({ id }) => id);
  const derived = async (root: string): Promise<readonly string[]> => (await derive?.tree(root)) ?? [];
  const recordsOf = async (id: string): Promise<SharedRecord[]> =>
    sharedRecords((await derive?.open(id).getItems()) ?? []);
  const departure = await departureOf(going, derived, async (id) => shared.get(id) ?? recordsOf(id));
  // Without its conversation, whose other branches can have its records, or get them meanwhile.
  const isAlone = isBranch(sessionId);
  const keys: { did: string; kid: string }[] = [];
  const destroyKeys = async (leaving: string): Promise<void> => {
    const losing = departure.leave(leaving);
    const now = isAlone && leaving === sessionId ? await neededNow(going, derived, recordsOf) : undefined;
    for (const [id, needed] of losing) {
      for (const store of scope.stores) {
        const found: DekRecord[] = [];
        for await (const record of store.list({ sessionId: id })) if (isKey(record)) found.push(record);
        const gone = await destroyUnneeded(store, id, now?.get(id) ?? needed);
        const destroyed = new Set(gone.map(({ did }) => did));
        for (const { did, kid } of found) if (destroyed.has(did)) keys.push({ did, kid });
      }
      sealer.forget(id);
    }
  };
  let rowsCleared = true;
  for (const { id, rows } of parts) {
    const clear = async (): Promise<void> => {
      rowsCleared = (await cleared(rows)) && rowsCleared;
    };
    const work = async (): Promise<void> => {
      if (isAlone && rows === inner) {
        // First, so that no branch begins with its records between the look at who needs their keys and the destruction.
        await refuseHeld();
        await clear();
        await destroyKeys(id);
      } else {
        await destroyKeys(id);
        await clear();
      }
    };
    // What belongs to the session is asked about before it loses anything; for the session itself this is its call.
    const engine = rows === inner ? undefined : engineOf(deriveOf(session)?.open(id) ?? session);
    await (engine === undefined ? work() : engine.rare().removed('shred', origin, work));
  }
  return defined({
    type: 'strongroom/shred' as const,
    version: 1 as const,
    sessionId,
    at: scope.now,
    keys,
    derived: countKinds(tree),
    rowsCleared,
    reason,
    by,
  });
}

/** As they are stored. */
function sharedRecords(items: readonly AgentInputItem[]): SharedRecord[] {
  return items.flatMap((item) => {
    const origin = recordOrigin(item);
    const text = origin === undefined ? undefined : envelopeText(item);
    return text === undefined ? [] : [{ origin, did: readHeader(text)?.d }];
  });
}

function refuseInlineKeys(sessionId: string, records: readonly AgentInputItem[]): void {
  for (const record of records) {
    const text = envelopeText(record);
    // sr1, header, body, and a fourth segment only when the envelope contains the data key.
    if (text === undefined || text.split('.', 4).length < 4) continue;
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `shred: session ${JSON.stringify(sessionId)} has older records with inline data keys in their envelopes: ` +
        'destroying the other keys would not erase them. Run reencrypt() over it first; older copies stay readable.',
    );
  }
}

/** Without the layers, which may be read-only; the keys are destroyed in any case. */
async function cleared(rows: Session): Promise<boolean> {
  try {
    await rows.clearSession();
    return true;
  } catch {
    return false;
  }
}
