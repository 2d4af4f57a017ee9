import type { AgentInputItem, RunContext, Session } from '@openai/agents';
import { brandOf } from '../../engine/inner.ts';
import { StrongroomError } from '../../errors.ts';
import { DERIVE, FOLLOW, LAYERS, type Follow } from '../../session-contract.ts';
import type { BranchState } from './state.ts';

/** The queries of the following session. */
export interface Following {
  readonly state: () => Promise<BranchState>;
  readonly sessionOf: (name: string) => Session;
  readonly exists: (state: BranchState, name: string) => boolean;
}

type Context = RunContext<unknown> | undefined;
type Member = (...args: unknown[]) => Promise<unknown>;

/** Members that take the run context, and its argument position. */
const WITH_CONTEXT: Readonly<Record<string, number>> = {
  getItems: 1,
  addItems: 1,
  popItem: 0,
  clearSession: 0,
  replaceHistoryWithCompaction: 1,
  applyHistoryTransaction: 1,
};
/** Takes no run context, and the runner does not call it. */
const MUTATIONS = 'applyHistoryMutations';
/** Members of the conversation's session that do not depend on a history. */
const OF_ALL = [
  'prepareHistoryItemForModelInput',
  'prepareHistoryItemsForPersistenceComparison',
  'preserveReasoningItemIdsForPersistence',
] as const;

/** By the session of the conversation: the runner keys state by identity. */
const followers = new WeakMap<Session, Session>();

/**
 * A session that is, in each run, the branch that was current at the first call of the run. Calls without a run
 * context use the branch that is current then.
 */
export function followerOf(main: Session, following: Following): Session {
  const known = followers.get(main);
  if (known !== undefined) return known;
  const follower = createFollower(main, following);
  followers.set(main, follower);
  return follower;
}

function createFollower(main: Session, { state, sessionOf, exists }: Following): Session {
  /** By run context. */
  const runs = new WeakMap<object, string>();

  async function branchOf(runContext: Context): Promise<Session> {
    const now = await state();
    if (runContext === undefined) return sessionOf(now.current);
    const name = runs.get(runContext) ?? now.current;
    runs.set(runContext, name);
    if (exists(now, name)) return sessionOf(name);
    throw new StrongroomError(
      'ERR_CONFLICT',
      `branches(): the branch ${JSON.stringify(name)} was deleted while a run was on it. Nothing was written; run it again on the current branch.`,
      { written: 'no' },
    );
  }

  const calling =
    (name: string, place?: number): Member =>
    async (...args) => {
      const branch = await branchOf(place === undefined ? undefined : (args[place] as Context));
      return await (branch as unknown as Record<string, Member>)[name]?.(...args);
    };
  const members = main as unknown as Record<string | symbol, unknown>;
  const follower: Record<string | symbol, unknown> = {
    getSessionId: async () => main.getSessionId(),
    acceptsRunContext: true,
  };
  for (const [name, place] of Object.entries(WITH_CONTEXT))
    if (typeof members[name] === 'function') follower[name] = calling(name, place);
  for (const name of OF_ALL)
    if (typeof members[name] === 'function')
      follower[name] = (items: AgentInputItem[]): unknown =>
        (members[name] as (items: AgentInputItem[]) => unknown)(items);
  if (typeof members[MUTATIONS] === 'function') follower[MUTATIONS] = calling(MUTATIONS);
  const brand = brandOf(main);
  if (brand !== undefined) follower[brand.symbol] = brand.value;
  // Derived sessions of the conversation (a ledger, a vault) belong to all its branches. Other ports belong to one
  // history.
  for (const port of [LAYERS, DERIVE])
    if (port in main) Object.defineProperty(follower, port, { value: members[port] });
  const follow: Follow = async (runContext) => {
    // A run that was on no branch of these is asked about as one that begins now.
    const name = runContext === undefined ? undefined : runs.get(runContext);
    return sessionOf(name ?? (await state()).current);
  };
  Object.defineProperty(follower, FOLLOW, { value: follow });
  // The loop added each member of the conversation's session.
  return follower as unknown as Session;
}
