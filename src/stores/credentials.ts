import { StrongroomError } from '../errors.ts';

/** A password, or one with the time when it stops working (Unix milliseconds). */
export type Password = string | { readonly password: string; readonly expiresAt: number };

/** Gives the password of today. Called again before it expires, and when a connection is opened without one. */
export type PasswordProvider = () => Password | Promise<Password>;

/** The part of a pool that lends connections. */
interface Lender {
  connect(): Promise<Client>;
}

interface Client {
  release(error?: boolean): void;
}

/** How long before its end a password is replaced: a tenth of its life, at most two minutes. */
const MARGIN = 120_000;

/** The current password, fetched once for many connections. */
export function credentials(provider: PasswordProvider): {
  current(): Promise<string>;
  /** The pool, without connections whose password has expired. */
  recycle<T extends Lender>(pool: T): T;
} {
  let known:
    { readonly password: string; readonly expiresAt: number; readonly refreshAt: number } | undefined;
  let fetching: Promise<void> | undefined;
  const expiry = new WeakMap<Client, number>();

  async function fetch(): Promise<void> {
    const fetched = await provider();
    const { password, expiresAt } =
      typeof fetched === 'string' ? { password: fetched, expiresAt: undefined } : fetched;
    if (typeof password !== 'string' || (expiresAt !== undefined && !Number.isFinite(expiresAt))) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        'The password provider must give text, or { password, expiresAt } with Unix milliseconds.',
      );
    }
    const end = expiresAt ?? 0;
    const margin = Math.min(MARGIN, Math.max(end - Date.now(), 0) / 10);
    // Jitter: the processes of a service do not ask all at once.
    known = { password, expiresAt: expiresAt ?? Infinity, refreshAt: end - margin * (1 + Math.random() / 2) };
  }

  return {
    async current() {
      // Without a known end a password is asked for at each connection: it may have changed.
      if (known === undefined || Date.now() >= known.refreshAt) {
        fetching ??= Promise.resolve()
          .then(fetch)
          .finally(() => (fetching = undefined));
        await fetching;
      }
      return (known as NonNullable<typeof known>).password;
    },
    recycle(pool) {
      const connect = async (): Promise<Client> => {
        for (;;) {
          const client = await pool.connect();
          const end = expiry.get(client) ?? known?.expiresAt ?? Infinity;
          expiry.set(client, end);
          if (Date.now() < end) return client;
          client.release(true);
          expiry.delete(client);
        }
      };
      return Object.assign(Object.create(pool) as typeof pool, { connect });
    },
  };
}
