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
  /** Milliseconds after which an opened data key is asked for again, from its store and its key-encryption key. */
  readonly cacheFor: number;
  /** How many opened data keys are kept. */
  readonly maxCached: number;
  /** How many data keys one read may need. */
  readonly maxPerRead: number;
}

/** Whose data keys are wanted, and where they live. */
export interface DataKeyScope {
  readonly ring: Keyring;
  readonly sessionId: string;
  readonly context: BindingContext;
  /** Where data keys are looked for, in this order. New ones go into the first; inline when there is none. */
  readonly stores: readonly DekStore[];
  /** New data keys stand in the envelopes although there is a store. */
  readonly inline: boolean;
  /** The one of the stores whose missing keys are found by the append itself. */
  readonly guarding?: DekStore | undefined;
  readonly now: number;
}

/**
 * The row of a data key that no database has yet: it goes there with the first records that are sealed under the key, in
 * one transaction where the driver can do that. See decision 68.
 */
export interface KeyRow {
  readonly record: DekRecord;
  /**
   * - `new`: it has to go with what is written next.
   * - `stored`: it is there, or a write failed of which nobody knows: it is never put back where somebody removed it.
   * - `taken`: the database holds another key under its name, so this one seals no more.
   */
  state: 'new' | 'stored' | 'taken';
}

/** An opened data key, ready for use. The caller gives it back with {@link DataKeys.release}. */
export interface DataKey {
  readonly did: string;
  readonly kid: string;
  readonly derived: DerivedKeys;
  /** Where its wrapped form lives. */
  readonly place: DekStore | 'inline';
  /** The wrapped key that envelopes carry, when it lives there. */
  readonly inline: string | undefined;
  /** Of a key that this process made, for a table of data keys. */
  readonly row: KeyRow | undefined;
}
