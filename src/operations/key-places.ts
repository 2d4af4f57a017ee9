import type { Session } from '@openai/agents';
import type { DekStore } from '../keys/dek-store.ts';
import { parseWrappedKey } from '../keys/wrapped-key.ts';
import type { CallKind } from '../layer.ts';
import { sealers, type Sealer } from '../layers/encrypt/sealer.ts';
import { invalidOption } from '../options.ts';
import { envelopeText, parseEnvelope } from '../protocol/envelope.ts';
import { MAINTENANCE } from '../session-contract.ts';
import type { Store } from '../stores/store.ts';
import { innermostOf } from '../wrap-session.ts';
import { layersOfStore } from '../wrap-store.ts';
import { keyAccess } from './access.ts';
import { isKey } from './erasure/tombstones.ts';
import { isDekStore, isSession, isStore, sealedSessionsOf, type SealedTarget } from './targets.ts';

/**
 * Where wrapped data keys are looked for: a DEK store; a store, that is its own table; a wrapped store or session,
 * that is its table, the DEK store of its `encrypt()` and its records.
 */
export type KeyTarget = DekStore | Store | Session;

/** The resolved places of a {@link KeyTarget}. */
export interface KeyPlaces {
  readonly stores: readonly DekStore[];
  /** Restricts it to keys of this session. */
  readonly sessionId?: string;
  /** The sessions whose records can contain data keys. */
  readonly sealed?: SealedTarget | undefined;
  /** Drops a destroyed data key from the memory of the stack of the target. */
  forget(sessionId: string, did: string): void;
}

/**
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for an invalid target: it must not look like one without
 * keys.
 */
export async function keyPlacesOf(where: CallKind, target: unknown): Promise<KeyPlaces> {
  if (isDekStore(target)) return { stores: [target], forget: () => undefined };
  if (isStore(target)) return placesOfStore(where, target);
  if (!isSession(target)) {
    invalidOption(where, 'the target', 'a DEK store, a store, or a wrapped store or session', target);
  }
  const { sessionId, scope, sealer } = await keyAccess(where, target);
  return { stores: scope.stores, sessionId, sealed: target, forget: (id, did) => sealer.forget(id, did) };
}

/** @throws as {@link keyPlacesOf}, also without any target. */
export async function placesOfAll(where: CallKind, targets: unknown): Promise<readonly KeyPlaces[]> {
  const all: readonly unknown[] = Array.isArray(targets) ? targets : [targets];
  if (all.length === 0) {
    invalidOption(
      where,
      'the target',
      'at least one place where data keys are stored, or a wrapped store',
      targets,
    );
  }
  return Promise.all(all.map((target) => keyPlacesOf(where, target)));
}

function placesOfStore(where: CallKind, store: Store): KeyPlaces {
  const table = store[MAINTENANCE]?.dekStore;
  const sealer = layersOfStore(store)
    .map((layer): Sealer | undefined => sealers.get(layer))
    .find((found) => found !== undefined);
  const given = sealer?.dekStore;
  const stores = [...(isDekStore(given) ? [given] : []), ...(table === undefined ? [] : [table])];
  if (sealer === undefined && stores.length === 0) {
    invalidOption(
      where,
      'the target',
      'a store of strongroom, or a store that is wrapped with encrypt()',
      store,
    );
  }
  return {
    stores,
    sealed: sealer === undefined ? undefined : store,
    forget: (sessionId, did) => sealer?.forget(sessionId, did),
  };
}

/** A wrapped data key in a store or a record. */
export interface PlacedKey {
  readonly sessionId: string;
  readonly did: string;
  readonly kid: string;
}

/**
 * The wrapped data keys of a target, only of one key-encryption key if given. Each is returned once for each place
 * that has it.
 */
export async function* wrappedKeysOf(
  where: CallKind,
  { stores, sessionId, sealed }: KeyPlaces,
  kid?: string,
): AsyncIterable<PlacedKey> {
  const filter = { sessionId, kid };
  for (const store of stores) {
    for await (const record of store.list(filter)) {
      if (isKey(record) && (kid === undefined || record.kid === kid)) yield record;
    }
  }
  if (sealed === undefined) return;
  for await (const session of sealedSessionsOf(where, sealed)) {
    for await (const key of inlineKeysOf(session)) if (kid === undefined || key.kid === kid) yield key;
  }
}

/** The wrapped data keys in the records of a session. */
async function* inlineKeysOf(session: Session): AsyncIterable<PlacedKey> {
  const inner = innermostOf(session);
  const sessionId = await inner.getSessionId();
  const seen = new Set<string>();
  for (const record of await inner.getItems()) {
    const text = envelopeText(record);
    // sr1, header, body, and a fourth segment only when the envelope contains the data key.
    if (text === undefined || text.split('.', 4).length < 4) continue;
    try {
      const { header, wrapped = '' } = parseEnvelope(text);
      if (seen.has(wrapped)) continue;
      seen.add(wrapped);
      yield { sessionId, did: header.d as string, kid: parseWrappedKey(wrapped).kid };
    } catch {
      // Reading the session reports the error of this record.
    }
  }
}
