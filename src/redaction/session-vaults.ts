import type { AgentInputItem, Session } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import type { CallKind, Entry, SessionCall } from '../layer.ts';
import { createByHistory } from '../engine/by-history.ts';
import { dropPromise, invalidOption } from '../options.ts';
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
    let session = vault;
    if (typeof session === 'function') {
      const given: unknown = session(call.sessionId, call);
      dropPromise(given);
      session = parseVault('redact', given);
    }
    if (typeof session !== 'object') return invalidOption('redact', 'vault', 'a Session', session);
    return createVault(session);
  };

  /** They stay until their time has passed: items are written back in several calls, and a call can fail. */
  const clearedValues = (call: SessionCall): ReadonlyMap<string, string> => {
    const before = cleared.get(call);
    if (before === undefined) return new Map();
    if (call.now() <= before.until) return before.values;
    cleared.delete(call);
    return new Map();
  };

  return {
    note(redacted, call) {
      const values = noted.get(call) ?? new Map<string, string>();
      for (const { tokens } of redacted) for (const [token, value] of tokens) values.set(token, value);
      noted.set(call, values);
    },
    async settled(entries, call) {
      const values = new Map([...clearedValues(call), ...(noted.get(call) ?? [])]);
      const uses = new Map<string, TokenUse>();
      for (const { item, header } of entries) {
        for (const token of tokensOf(item)) {
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
      noted.delete(call);
    },
    async around(call, next) {
      // A call on a whole store is followed by one for each session that it concerns.
      if (!CLEARING.includes(call.kind) || call.sessionId === '') return next();
      const own = vaultOf(call);
      // A second clear of one compaction must not drop what the first one removed.
      const values =
        call.kind === 'clearSession' ? new Map([...clearedValues(call), ...(await own.values())]) : undefined;
      const result = await next();
      // What was deleted or erased is never written back.
      if (values === undefined) cleared.delete(call);
      try {
        await own.clear();
      } catch (cause) {
        throw new StrongroomError(
          'ERR_STORE',
          `redact: the session ${JSON.stringify(call.sessionId)} was cleared, its vault was not. Clear the vault.`,
          { cause },
        );
      }
      if (values !== undefined && values.size > 0)
        cleared.set(call, { values, until: call.now() + WRITE_BACK_TIME });
      return result;
    },
  };
}

/** The tokens in the texts of an item, and in its keys. Its JSON would put the letter of an escape before a token. */
function tokensOf(item: AgentInputItem): ReadonlySet<string> {
  const tokens = new Set<string>();
  JSON.stringify(item, (key, value: unknown) => {
    for (const text of typeof value === 'string' ? [key, value] : [key])
      for (const token of tokensIn(text)) tokens.add(token);
    return value;
  });
  return tokens;
}
