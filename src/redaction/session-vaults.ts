import type { Session } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import type { CallKind, Entry, SessionCall } from '../layer.ts';
import { createByHistory } from '../engine/by-history.ts';
import { invalidOption } from '../options.ts';
import type { RedactedItem } from './redacted-item.ts';
import { tokensIn } from './token.ts';
import { createVault, parseVault, type TokenUse, type Vault } from './vault.ts';

/** The vaults of a layer, one a session. */
export interface SessionVaults {
  /** The values of the tokens that a write has issued, until its entries are settled. */
  note(redacted: readonly RedactedItem[], call: SessionCall): void;
  /** Stores the values of tokens before the records that hold the tokens, for the lifetime of these records. */
  settled(entries: readonly Entry[], call: SessionCall): Promise<void>;
  /** Clears the vault with its session. */
  around<T>(call: SessionCall, next: () => Promise<T>): Promise<T>;
}

/** The content of a cleared vault, for items that are written back (the runner compacts by clearing and adding). */
interface Cleared {
  readonly values: ReadonlyMap<string, string>;
  readonly until: number;
}

const WRITE_BACK_TIME = 60_000;
const MOST_CLEARED = 4;
const CLEARING: readonly CallKind[] = ['clearSession', 'deleteSession', 'eraseSubject', 'shred'];

/** Throws `ERR_INVALID_OPTION` when `vault` is neither a session nor a function. */
export function createSessionVaults(
  vault: Session | ((sessionId: string, call: SessionCall) => Session),
): SessionVaults {
  if (typeof vault !== 'function') parseVault('redact', vault);
  const cleared = createByHistory<Cleared>((call) => call.inner, MOST_CLEARED);

  /** A call that is sealed again keeps the values with its items, which hold the same tokens. */
  const noted = new WeakMap<SessionCall, Map<string, string>>();

  const vaultOf = (call: SessionCall): Vault => {
    const session = typeof vault === 'function' ? parseVault('redact', vault(call.sessionId, call)) : vault;
    if (typeof session !== 'object') return invalidOption('redact', 'vault', 'a Session', session);
    return createVault(session);
  };

  return {
    note(redacted, call) {
      const values = noted.get(call) ?? new Map<string, string>();
      for (const { tokens } of redacted) for (const [token, value] of tokens) values.set(token, value);
      noted.set(call, values);
    },
    async settled(entries, call) {
      const values = new Map(noted.get(call));
      noted.delete(call);
      const before = cleared.get(call);
      if (before !== undefined) {
        cleared.delete(call);
        if (call.now() <= before.until) {
          for (const [token, value] of before.values) if (!values.has(token)) values.set(token, value);
        }
      }
      const uses = new Map<string, TokenUse>();
      for (const { item, header } of entries) {
        for (const token of tokensIn(JSON.stringify(item))) {
          const { until = header.e } = uses.get(token) ?? {};
          const isEndless =
            header.e === undefined || (uses.has(token) && uses.get(token)?.until === undefined);
          uses.set(token, {
            value: values.get(token),
            until: isEndless ? undefined : Math.max(until ?? 0, header.e ?? 0),
          });
        }
      }
      if (call.copiedFrom !== undefined && typeof vault === 'function' && uses.size > 0) {
        const source = vaultOf({ ...call, sessionId: call.copiedFrom });
        for (const [token, value] of await source.find(uses.keys())) {
          uses.set(token, { ...uses.get(token), value });
        }
      }
      if (uses.size > 0) await vaultOf(call).use(uses, call.now());
    },
    async around(call, next) {
      // A call on a whole store is followed by one for each session that it concerns.
      if (!CLEARING.includes(call.kind) || call.sessionId === '') return next();
      const own = vaultOf(call);
      const values = call.kind === 'clearSession' ? await own.values() : new Map<string, string>();
      const result = await next();
      try {
        await own.clear();
      } catch (cause) {
        throw new StrongroomError(
          'ERR_STORE',
          `redact: the session ${JSON.stringify(call.sessionId)} was cleared, its vault was not. Clear the vault.`,
          { cause },
        );
      }
      if (values.size > 0) cleared.set(call, { values, until: call.now() + WRITE_BACK_TIME });
      return result;
    },
  };
}
