import type { AgentInputItem, Session, SessionHistoryTransactionArgs } from '@openai/agents';
import { createReceive } from '../../engine/receive.ts';
import { stackClock } from '../../engine/stack.ts';
import { isStrongroomError, StrongroomError } from '../../errors.ts';
import { createRegister } from '../../history/branches/register.ts';
import { turnsOf } from '../../history/turns.ts';
import { openLedger } from '../../history/usage/ledger.ts';
import { addCells, isNothing, tokensOf } from '../../history/usage/tokens.ts';
import type { CallOrigin, Entry } from '../../layer.ts';
import { historyDigest } from '../../protocol/digest.ts';
import { itemKey } from '../../protocol/item.ts';
import { assertProtocolItems } from '../../protocol/transaction.ts';
import { MAINTENANCE, OPERATIONS } from '../../session-contract.ts';
import type { Store } from '../../stores/store.ts';
import { engineOf, innermostOf, layersOf } from '../../wrap-session.ts';
import { isUser, type PythonBranch, type StoredPythonSession } from './read.ts';

/** What was done with one branch: `'conflict'` when the target has other items there. */
export type Outcome = 'written' | 'before' | 'conflict';

interface Target extends Session {
  applyHistoryTransaction(args: SessionHistoryTransactionArgs): Promise<void>;
  readonly [OPERATIONS]: { has(operationId: string): Promise<boolean> };
}

/**
 * Writes a branch in one transaction under an operation id that depends only on the branch, so that a repeated run
 * finds what an interrupted one wrote.
 *
 * @throws {@link StrongroomError} `ERR_CONFLICT` when it was written and reads otherwise.
 */
export async function adoptBranch(
  session: Session,
  branch: PythonBranch,
  origin: CallOrigin,
): Promise<Outcome> {
  if (branch.items.length === 0) return 'before';
  const inner = innermostOf(session) as Target;
  const operationId = `strongroom-python-${branch.items.length}`;
  const isThere = async (): Promise<boolean> => inner[OPERATIONS].has(operationId);
  if (await isThere()) return 'before';
  if ((await inner.getItems(1)).length > 0) return 'conflict';
  await assertProtocolItems(branch.items);
  try {
    await write(session, inner, branch, operationId, origin);
  } catch (error) {
    // Another run wrote it at the same time.
    if (isStrongroomError(error) && error.code === 'ERR_CONFLICT' && (await isThere())) return 'before';
    throw error;
  }
  await verify(session, branch);
  return 'written';
}

async function write(
  session: Session,
  inner: Target,
  { items, times }: PythonBranch,
  operationId: string,
  origin: CallOrigin,
): Promise<void> {
  const send = async (records: readonly AgentInputItem[]): Promise<void> =>
    inner.applyHistoryTransaction({
      operationId,
      transaction: { type: 'append_items', items: [...records] },
    });
  const engine = engineOf(session);
  if (engine === undefined) return send(items);
  const now = stackClock(layersOf(session))();
  const entries = items.map((item, index): Entry => {
    const time = times[index];
    // A clock of Python that was ahead would make the record unreadable.
    return { item, header: time === undefined ? {} : { t: Math.min(time, now) } };
  });
  await engine.rare().using(createReceive)(
    entries,
    { ...origin, kind: 'migrate', operationId },
    async (archive) => send(archive.items),
  );
}

/** Reads the branch back through all layers, and compares number and digest. */
async function verify(session: Session, { items }: PythonBranch): Promise<void> {
  const expires = layersOf(session).some((layer) => layer.expires === true);
  const form = comparable(session);
  const visible = form(await session.getItems()).map(itemKey);
  const expected = form(items).map(itemKey);
  // Items of which the time has passed are hidden from the start.
  const shown = expires ? withoutHidden(expected, visible) : expected;
  if (shown.length === visible.length && historyKey(shown) === historyKey(visible)) return;
  throw new StrongroomError(
    'ERR_CONFLICT',
    `readPythonStore: session ${JSON.stringify(await session.getSessionId())} reads otherwise than it was written: ${visible.length} of ${expected.length} items. Stop other writers, delete the session in the target, and run the migration again.`,
    { written: 'yes' },
  );
}

/** Layers that change items state the form in which written and read ones are equal. */
function comparable(session: Session): (items: readonly AgentInputItem[]) => readonly AgentInputItem[] {
  return (items) => session.prepareHistoryItemsForPersistenceComparison?.([...items]) ?? items;
}

function historyKey(keys: readonly string[]): string {
  return historyDigest(keys.map((key) => ({ type: 'unknown', providerData: { key } })));
}

/** `expected` without the items that `visible` skips. */
function withoutHidden(expected: readonly string[], visible: readonly string[]): string[] {
  let next = 0;
  return expected.filter((key) => {
    if (key !== visible[next]) return false;
    next++;
    return true;
  });
}

/**
 * Opens a branch, and registers it before its items are written.
 *
 * @param isNoted Whether it is registered: not where the register was erased.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for a name that a branch cannot have.
 */
export async function openBranch(
  store: Store,
  id: string,
  branch: PythonBranch,
  isNoted: boolean,
): Promise<Session> {
  const register = createRegister(store, id);
  const { name, from, created } = branch;
  const session = register.sessionOf(name);
  if (!isNoted) return session;
  await register.note((state) =>
    register.isTaken(state, name)
      ? undefined
      : {
          do: 'create',
          branch: { name, created: created ?? register.now(), ...(from !== undefined && { from }) },
        },
  );
  return session;
}

const USAGE = 'python turn_usage ';

/** Adds the usage of turns that the ledger does not have. Returns how many. */
export async function adoptUsage(
  sessionOf: (branch: string) => Session,
  { branches, usage }: StoredPythonSession,
): Promise<number> {
  if (usage.length === 0) return 0;
  const where = 'readPythonStore';
  const known = await (await openLedger(where, sessionOf('main'), undefined)).all();
  const recorded = new Set(known.map(({ response }) => response));
  const rows = usage.filter(({ id }) => !recorded.has(USAGE + id));
  let added = 0;
  for (const row of rows) {
    const session = sessionOf(row.branch);
    const ledger = await openLedger(where, session, undefined);
    const tokens = tokensOf(row);
    if (isNothing(tokens)) continue;
    const total = branches.find(({ name }) => name === row.branch)?.items.filter(isUser).length ?? 0;
    const turns = row.turn === undefined ? [] : await turnsOf(where, session, {});
    // Counted from the end: turns that have expired are not shown.
    const turn = row.turn === undefined ? undefined : turns.at(row.turn - total - 1)?.first.key();
    const cells = [{ branch: ledger.branch, agent: '', model: '', ...tokens }];
    await ledger.append((last) => {
      if (last?.response === USAGE + row.id) return undefined;
      return {
        cells,
        turn,
        branch: ledger.branch,
        response: USAGE + row.id,
        runs: (last?.runs ?? 0) + 1,
        sums: addCells(last?.sums ?? [], cells),
      };
    });
    added += 1;
  }
  return added;
}

/** Whether a store has what a migration needs. */
export function isOurs(store: Store | undefined): boolean {
  return store?.[MAINTENANCE] !== undefined;
}
