import type { BindingContext, DerivedKeys } from '../../crypto/derive.ts';
import type { DekRecord, DekStore } from '../dek-store.ts';
import type { Keyring } from '../keyring.ts';

/** How long and how much one data key seals, and how many opened ones a layer keeps. */
export interface DataKeyLimits {
  /** Milliseconds after which a session gets a new data key. */
  readonly maxAge: number;
  /** Entries that one data key seals in this process. */
  readonly maxMessages: number;
  /** Bytes of plaintext that one data key seals in this process. */
  readonly maxBytes: number;
  /** Milliseconds after which an opened data key is loaded from its store and unwrapped again. */
  readonly cacheFor: number;
  /** How many opened data keys are kept. */
  readonly maxCached: number;
  /** How many data keys one read may need. */
  readonly maxPerRead: number;
}

/** The owner of the data keys, and where they are stored. */
export interface DataKeyScope {
  readonly ring: Keyring;
  readonly sessionId: string;
  readonly context: BindingContext;
  /**
   * Stores in which data keys are looked for, in this order. New ones are stored in the first; inline when there is
   * none.
   */
  readonly stores: readonly DekStore[];
  /** New data keys are stored in the envelopes although there is a store. */
  readonly inline: boolean;
  /** The store of this list whose missing keys the append itself detects. */
  readonly guarding?: DekStore | undefined;
  readonly now: number;
  /**
   * The scope of another session whose records this one shares.
   *
   * @throws {@link StrongroomError} `ERR_AUTHENTICATION` for one whose records it cannot share.
   */
  readonly of: (origin: string) => DataKeyScope | Promise<DataKeyScope>;
}

/**
 * The row of a data key that is not stored yet: it is written with the first records that are sealed under the key,
 * in one transaction where the driver can do that. See decision 68.
 */
export interface KeyRow {
  readonly record: DekRecord;
  /**
   * - `new`: the next write must include it.
   * - `stored`: it is stored, or a write of it failed with an unknown result: it is never written again, because it
   *   may have been removed on purpose.
   * - `taken`: the database holds another key under its name, so this one seals no new records.
   */
  state: 'new' | 'stored' | 'taken';
}

/** An opened data key, ready for use. The caller returns it with {@link DataKeys.release}. */
export interface DataKey {
  readonly did: string;
  readonly kid: string;
  readonly derived: DerivedKeys;
  /** Where its wrapped form is stored. */
  readonly place: DekStore | 'inline';
  /** The wrapped key, when envelopes carry it. */
  readonly inline: string | undefined;
  /** Of a key that this process made, for a table of data keys. */
  readonly row: KeyRow | undefined;
}
