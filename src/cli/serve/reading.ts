import type { AgentInputItem } from '@openai/agents';
import { branches } from '../../history/branches.ts';
import { page, type ItemDetails } from '../../history/page.ts';
import { isUserMessage } from '../../history/structure.ts';
import { sessionUsage, type SessionUsage } from '../../history/usage.ts';
import { isReserved, parseDerivedId } from '../../derived-id.ts';
import { isStrongroomError, StrongroomError } from '../../errors.ts';
import type { HoldRecord } from '../../keys/dek-store.ts';
import type { CallOrigin } from '../../layer.ts';
import type { AuditLayer } from '../../layers/audit.ts';
import { listHolds } from '../../report/holds.ts';
import { keyPlacesOf } from '../../operations/key-places.ts';
import { MAINTENANCE, type SessionSummary } from '../../session-contract.ts';
import type { Maintenance } from '../../stores/maintenance.ts';
import type { Store } from '../../stores/store.ts';
import { layersOfStore } from '../../wrap-store.ts';
import { wrappingKeysOf } from '../wrapping-keys.ts';

/** Conversations on one page. */
export const MOST_LISTED = 500;
/** Items of an opened conversation: more do not fit on a page. */
export const MOST_ITEMS = 2_000;

/** What the page of a conversation says without opening it. */
export interface SealedConversation {
  readonly id: string;
  readonly records: number;
  /** Records without a data key. */
  readonly unsealed: number;
  readonly firstAt?: number;
  readonly lastAt?: number;
  /** The key-encryption keys of its data keys in the table. */
  readonly kids: readonly string[];
  readonly branches: readonly { readonly name: string; readonly current: boolean }[];
  /** What else belongs to it, by kind. */
  readonly others: Readonly<Record<string, number>>;
  readonly holds: readonly HoldRecord[];
}

/** A turn of an opened conversation. Number 0: what stands before the first message of a user. */
export interface OpenTurn {
  readonly number: number;
  readonly items: readonly { readonly item: AgentInputItem; readonly details: ItemDetails }[];
}

/** What an opened conversation shows. */
export interface OpenConversation {
  readonly turns: readonly OpenTurn[];
  /** Older items that are not shown. */
  readonly hasMore: boolean;
  readonly usage: SessionUsage | undefined;
}

/** Reads for the viewer. Each read of content goes through the layers, and is in the audit log before it is returned. */
export interface Reading {
  /** Why no conversation can be opened; `undefined` when they can. */
  readonly closed: string | undefined;
  list(
    subject: string | undefined,
  ): Promise<{ readonly sessions: readonly SessionSummary[]; readonly hasMore: boolean }>;
  sealed(id: string): Promise<SealedConversation | undefined>;
  /** @param branch The name of a branch; `undefined` for the conversation itself. */
  open(id: string, branch: string | undefined, reason: string): Promise<OpenConversation>;
}

export function createReading(store: Store, origin: CallOrigin): Reading {
  const maintenance = maintenanceOf(store);
  const audits = layersOfStore(store).filter(
    (layer): layer is AuditLayer => layer.name === 'audit' && 'flush' in layer,
  );

  /** Runs a read, and withholds its result when an audit log has not taken the event. */
  async function recorded<T>(work: () => Promise<T>): Promise<T> {
    const lost = async (): Promise<number> => {
      const counts = await Promise.all(audits.map(async (layer) => layer.flush()));
      return counts.reduce((sum, each) => sum + each.lost, 0);
    };
    const before = await lost();
    const result = await work();
    if ((await lost()) === before) return result;
    throw new StrongroomError(
      'ERR_STORE',
      'The audit log did not take the record of this call, so nothing is shown. Look at the sink of audit().',
    );
  }

  return {
    closed:
      audits.length > 0
        ? undefined
        : 'The stack of this configuration has no audit() layer, so opening a conversation would leave no record. Add audit({ sink: auditFile(path) }) as its outermost layer.',
    async list(subject) {
      const sessions: SessionSummary[] = [];
      for await (const summary of store.sessions({ ...(subject !== undefined && { subject }), ...origin })) {
        if (sessions.length === MOST_LISTED) return { sessions, hasMore: true };
        sessions.push(summary);
      }
      return { sessions, hasMore: false };
    },
    async sealed(id) {
      // What belongs to a conversation is shown with it.
      if (isReserved(id)) return undefined;
      const records = await maintenance.records(id);
      const derived = await maintenance.derived(id);
      if (records.length === 0 && derived.length === 0) return undefined;
      const kidOf = await wrappingKeysOf(store, id, records);
      const kids = new Set(records.map(kidOf).filter((kid) => kid !== undefined));
      const { stores } = await keyPlacesOf('sessions', store);
      const current = await branches(store, id).current(origin);
      const names = derived.map(parseDerivedId).filter((each) => each !== undefined);
      const others: Record<string, number> = {};
      for (const { kind } of names) if (kind !== 'branch') others[kind] = (others[kind] ?? 0) + 1;
      const times = records.map(({ writtenAt }) => writtenAt);
      return {
        id,
        records: records.length,
        unsealed: records.filter(({ did }) => did === null).length,
        ...(times.length > 0 && { firstAt: times.reduce(least), lastAt: times.reduce(most) }),
        kids: [...kids],
        branches: names
          .filter(({ kind, of }) => kind === 'branch' && of === id)
          .map(({ name = '' }) => ({ name, current: name === current })),
        others,
        holds: (await listHolds(stores)).filter(({ sessionId }) => sessionId === id),
      };
    },
    open: (id, branch, reason) =>
      recorded(async () => {
        const session = branch === undefined ? store.session(id) : branches(store, id).session(branch);
        const { items, details, before } = await page(session, {
          limit: MOST_ITEMS,
          ...origin,
          purpose: reason,
        });
        return {
          turns: turnsOf(items, details),
          hasMore: before !== undefined,
          usage: await usageOf(store, id, { ...origin, purpose: reason }),
        };
      }),
  };
}

const least = (one: number, other: number): number => Math.min(one, other);
const most = (one: number, other: number): number => Math.max(one, other);

function turnsOf(items: readonly AgentInputItem[], details: readonly ItemDetails[]): OpenTurn[] {
  const turns: { number: number; items: { item: AgentInputItem; details: ItemDetails }[] }[] = [];
  let number = 0;
  items.forEach((item, index) => {
    if (isUserMessage(item)) number++;
    if (turns.at(-1)?.number !== number) turns.push({ number, items: [] });
    turns.at(-1)?.items.push({ item, details: details[index] ?? {} });
  });
  return turns;
}

/** The ledger is a session of its own, which a person may not be allowed to read. */
async function usageOf(store: Store, id: string, origin: CallOrigin): Promise<SessionUsage | undefined> {
  try {
    const usage = await sessionUsage(store.session(id), origin);
    return usage.runs === 0 ? undefined : usage;
  } catch (error) {
    if (isStrongroomError(error) && error.code === 'ERR_ACCESS_DENIED') return undefined;
    throw error;
  }
}

function maintenanceOf(store: Store): Maintenance {
  const found = store[MAINTENANCE];
  if (found !== undefined) return found;
  throw new StrongroomError('ERR_UNSUPPORTED', 'serve needs a store of strongroom.');
}
