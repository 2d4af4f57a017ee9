import type { Session } from '@openai/agents';
import { defined } from '../defined.ts';
import { StrongroomError } from '../errors.ts';
import type { DekRecord } from '../keys/dek-store.ts';
import type { CallOrigin } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { envelopeText } from '../protocol/envelope.ts';
import { engineOf } from '../wrap-session.ts';
import { keyAccess } from './access.ts';
import { openHold } from './holds.ts';
import { isSession } from './targets.ts';

/** What was destroyed, when, and by whom: keep it where auditors look. It holds no content and no key. */
export interface ShredReceipt {
  readonly type: 'strongroom/shred';
  readonly version: 1;
  readonly sessionId: string;
  /** Unix milliseconds. */
  readonly at: number;
  /** The data keys that were destroyed, and the key-encryption keys that wrapped them. */
  readonly keys: readonly { readonly did: string; readonly kid: string }[];
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
 * Makes a session unreadable for good, in every copy of its items: destroys its data keys, drops them from this
 * process, then removes the rows. Other processes let go of opened keys when their cache does (five minutes by
 * default). It reaches exactly as far as the keys do: a backup of the DEK store still has them, and the default DEK
 * table of our stores lies in the same database as the items; give `encrypt()` a `dekStore` elsewhere for erasure that
 * reaches backups.
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
  // As a removal, so that a cache of plaintext above the seal lets go, too.
  const receipt = await (engine === undefined ? work() : engine.removed('shred', origin, work));
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
  for (const record of await inner.getItems()) {
    const text = envelopeText(record);
    // sr1, header, body, and a fourth segment only where the data key stands in the envelope.
    if (text === undefined || text.split('.', 4).length < 4) continue;
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `shred: session ${JSON.stringify(sessionId)} has older records with inline data keys in their envelopes: ` +
        'destroying the other keys would not erase them. Run reencrypt() over it first; older copies stay readable.',
    );
  }
  // Looked at in all stores before anything is destroyed in one; each looks again in its own transaction.
  for (const store of scope.stores) await openHold(store, sessionId);
  const keys: { did: string; kid: string }[] = [];
  for (const store of scope.stores) {
    const found: DekRecord[] = [];
    for await (const record of store.list({ sessionId })) found.push(record);
    const destroyed = new Set((await store.destroy(sessionId)).map(({ did }) => did));
    for (const { did, kid } of found) if (destroyed.has(did)) keys.push({ did, kid });
  }
  sealer.forget(sessionId);
  const rowsCleared = await cleared(inner);
  return defined({
    type: 'strongroom/shred' as const,
    version: 1 as const,
    sessionId,
    at: scope.now,
    keys,
    rowsCleared,
    reason,
    by,
  });
}

/** Past the layers, which may be read-only; the keys are gone in any case. */
async function cleared(inner: Session): Promise<boolean> {
  try {
    await inner.clearSession();
    return true;
  } catch {
    return false;
  }
}
