import type { Session } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import type { CallKind, SessionCall } from '../layer.ts';
import { createByHistory } from '../engine/by-history.ts';
import { invalidOption } from '../options.ts';
import type { RedactedItem } from './redacted-item.ts';
import { tokensIn } from './token.ts';
import { createVault, parseVault, type Vault } from './vault.ts';

/** The vaults of a layer, one a session. */
export interface SessionVaults {
  /** Stores the values of tokens before the items that carry them are stored. */
  issue(redacted: readonly RedactedItem[], call: SessionCall): Promise<void>;
  /** Clears the vault with its session. */
  around<T>(call: SessionCall, next: () => Promise<T>): Promise<T>;
}

/** What a cleared vault held, for the items that are written back (the runner compacts by clearing and adding). */
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

  const vaultOf = (call: SessionCall): Vault => {
    const session = typeof vault === 'function' ? parseVault('redact', vault(call.sessionId, call)) : vault;
    if (typeof session !== 'object') return invalidOption('redact', 'vault', 'a Session', session);
    return createVault(session);
  };

  return {
    async issue(redacted, call) {
      const tokens = new Map(redacted.flatMap((result) => [...result.tokens]));
      const before = cleared.get(call);
      if (before !== undefined) {
        cleared.delete(call);
        if (call.now() <= before.until) {
          for (const { item } of redacted) {
            for (const token of tokensIn(JSON.stringify(item))) {
              const value = before.values.get(token);
              if (value !== undefined) tokens.set(token, value);
            }
          }
        }
      }
      if (call.copiedFrom !== undefined && typeof vault === 'function') {
        const carried = redacted.flatMap(({ item }) => tokensIn(JSON.stringify(item)));
        const source = vaultOf({ ...call, sessionId: call.copiedFrom });
        if (carried.length > 0)
          for (const [token, value] of await source.find(carried)) tokens.set(token, value);
      }
      if (tokens.size > 0) await vaultOf(call).issue(tokens);
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
