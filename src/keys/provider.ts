/** The context that a wrapped data key is bound to in addition to its key-encryption key. */
export interface KeyBinding {
  /** SHA-256 of the binding context (session id and `context`), base64url. Never the ids themselves. */
  readonly contextHash: string;
}

/** How a data key is wrapped. */
export interface WrapOptions {
  /** Adds `use: "open"` to the protected header: this data key seals no new records. */
  readonly openOnly?: boolean;
}

/**
 * One key-encryption key: a JWK in this process, or a key in a KMS. Wrapped data keys are compact JWEs with the
 * protected header fields `alg`, `enc`, `typ: "sr1-dek"`, `kid`, and `use: "open"` on request.
 */
export interface KeyProvider {
  /** At most 128 printable ASCII characters. Part of every wrapped key, and the name of the key in a keyring. */
  readonly kid: string;
  /** The JWE key management algorithm; a wrapped key with another one is refused. */
  readonly alg: string;
  /** Whether it holds only a public key: it can wrap; unwrapping is `ERR_KEY_UNAVAILABLE`. */
  readonly writeOnly: boolean;
  /** Wraps a data key of 32 bytes. The bytes belong to the caller, who wipes them. */
  wrap(dek: Uint8Array, binding: KeyBinding, options?: WrapOptions): Promise<string>;
  /**
   * Unwraps. The header has been parsed, and its `kid`, `alg`, `enc` and `typ` were checked.
   *
   * @throws `ERR_AUTHENTICATION` when it does not open, `ERR_KEY_UNAVAILABLE` when the provider does not answer,
   * `ERR_KEY_DISABLED` when the provider reports that the key is disabled or destroyed. Reads and writes give any
   * other error, also of `wrap`, as the cause of `ERR_KEY_UNAVAILABLE`.
   */
  unwrap(wrapped: WrappedKey, binding: KeyBinding): Promise<Uint8Array>;
}

/** A wrapped data key whose form was checked: five canonical segments, and the right protected header. */
export interface WrappedKey {
  /** The compact JWE. */
  readonly text: string;
  /** The parsed protected header. */
  readonly header: Readonly<Record<string, unknown>>;
  /** The five segments, decoded. */
  readonly segments: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  readonly kid: string;
  readonly alg: string;
  /** Whether the data key must not seal new records. */
  readonly openOnly: boolean;
}
