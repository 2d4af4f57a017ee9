import { StrongroomError } from '../errors.ts';

/** A password, or one with the time when it stops working (Unix milliseconds). */
export type Password = string | { readonly password: string; readonly expiresAt: number };

/** Returns the current password. Called again before it expires, and when a connection is opened without one. */
export type PasswordProvider = () => Password | Promise<Password>;

/** How long before its expiry a password is replaced: a tenth of its lifetime, at most two minutes. */
const MARGIN = 120_000;

/** Where connections get the current password from. */
export interface Credentials {
  /**
   * Fetched once for concurrent callers.
   *
   * @param refused A password that the server refused: another one is fetched, unless there is one already.
   */
  current(refused?: string): Promise<string>;
  /** A connection whose password has not expired; others are closed. */
  lend<C extends object>(
    connect: () => Promise<C>,
    throwAway: (connection: C) => void,
    /** The object that stays the same when the pool hands out a connection again. */
    identity?: (connection: C) => object,
  ): Promise<C>;
}

/**
 * @param endless How long a password without an expiry is used: for one connection, because it may have changed, or
 * until it is refused.
 */
export function credentials(
  provider: PasswordProvider,
  endless: 'once' | 'until refused' = 'once',
): Credentials {
  let known:
    { readonly password: string; readonly expiresAt: number; readonly refreshAt: number } | undefined;
  let fetching: Promise<void> | undefined;
  const expiry = new WeakMap<object, number>();

  async function fetch(): Promise<void> {
    const fetched = await provider();
    const { password, expiresAt } =
      typeof fetched === 'string' ? { password: fetched, expiresAt: undefined } : fetched;
    if (typeof password !== 'string' || (expiresAt !== undefined && !Number.isFinite(expiresAt))) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        'The password provider must return a string, or { password, expiresAt } with Unix milliseconds.',
      );
    }
    if (expiresAt === undefined) {
      known = { password, expiresAt: Infinity, refreshAt: endless === 'once' ? 0 : Infinity };
      return;
    }
    const margin = Math.min(MARGIN, Math.max(expiresAt - Date.now(), 0) / 10);
    // Jitter, so that the processes of a service do not all ask at once.
    known = { password, expiresAt, refreshAt: expiresAt - margin * (1 + Math.random() / 2) };
  }

  return {
    async current(refused) {
      if (known === undefined || Date.now() >= known.refreshAt || known.password === refused) {
        fetching ??= Promise.resolve()
          .then(fetch)
          .finally(() => (fetching = undefined));
        await fetching;
      }
      return (known as NonNullable<typeof known>).password;
    },
    async lend(connect, throwAway, identity = (connection) => connection) {
      for (;;) {
        const connection = await connect();
        const same = identity(connection);
        const end = expiry.get(same) ?? known?.expiresAt ?? Infinity;
        expiry.set(same, end);
        if (Date.now() < end) return connection;
        throwAway(connection);
      }
    },
  };
}
