import type {
  AgentInputItem,
  NonStreamRunOptions,
  OpenAIResponsesCompactionOwnershipAwareSession,
  RunContext,
  RunContextAwareSession,
  Runner,
  RunResult,
  RunState,
  Session,
  StreamedRunResult,
  StreamRunOptions,
} from '@openai/agents';
import { invalidOption, isObject } from '../options.ts';
import { endTurn, keepTurn } from '../layers/exclusive.ts';
import { historyOf } from '../session-contract.ts';
import { innermostOf, layersOf } from '../wrap-session.ts';

type AnyAgent = Parameters<Runner['run']>[0];
type Input<C, A extends AnyAgent> = string | AgentInputItem[] | RunState<C, A>;
type WithSession = { readonly session: Session };
type Run = RunContext<unknown>;

/** The session of each run as {@link heardBy} made it: a resumed run must get the same object. */
const views = new WeakMap<Run, { readonly of: Session; readonly view: Session }>();

/**
 * A run whose turn on the session ends when the run ends, with an answer, a provider's error, an abort, a tool
 * error, a guardrail or too many turns. With plain `run()` a run that fails writes nothing, and {@link exclusive}
 * detects its end only when its run context is garbage-collected, or after `hold`.
 *
 * A turn lasts through all writes of the run, and through the compaction after them. A run that was interrupted for an
 * approval is resumed with this function if it began with it: the SDK keeps by session object whether it may compact,
 * and the run gets a view of the session with the same members.
 *
 * @param options Those of the runner; `session` must be wrapped with `exclusive()`, or follow the branches of a store
 * that is. A streamed run keeps its turn until its stream is complete.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for a session without `exclusive()`; the errors of the run.
 *
 * @example
 * ```ts
 * import { Agent, MemorySession, Runner } from '@openai/agents';
 * import { exclusive, runExclusive, wrapSession } from 'strongroom';
 *
 * const session = wrapSession(new MemorySession(), [exclusive()]);
 * export const ask = async (agent: Agent) => runExclusive(new Runner(), agent, 'Hello', { session });
 * ```
 */
export async function runExclusive<A extends AnyAgent, C = undefined>(
  runner: Runner,
  agent: A,
  input: Input<C, A>,
  options: NonStreamRunOptions<C, A> & WithSession,
): Promise<RunResult<C, A>>;
export async function runExclusive<A extends AnyAgent, C = undefined>(
  runner: Runner,
  agent: A,
  input: Input<C, A>,
  options: StreamRunOptions<C, A> & WithSession,
): Promise<StreamedRunResult<C, A>>;
export async function runExclusive<A extends AnyAgent, C = undefined>(
  runner: Runner,
  agent: A,
  input: Input<C, A>,
  options: (NonStreamRunOptions<C, A> | StreamRunOptions<C, A>) & WithSession,
): Promise<RunResult<C, A> | StreamedRunResult<C, A>> {
  const { session } = options;
  if (!(await isExclusive(session))) invalidOption('runExclusive', 'session', expected(session), session);
  const runs = new Set<Run>();
  let view = session;
  const hear = (run: Run): void => {
    runs.add(run);
    keepTurn(run);
    views.set(run, { of: session, view });
  };
  const { _context: resumed } = input as { readonly _context?: Run };
  if (resumed === undefined) view = heardBy(session, hear);
  else {
    const known = views.get(resumed);
    if (known?.of === session) view = known.view;
    hear(resumed);
  }
  const end = async (): Promise<void> => {
    for (const run of runs) for (const inner of await innersOf(session, run)) endTurn(inner, run);
  };
  let result: RunResult<C, A> | StreamedRunResult<C, A>;
  try {
    result =
      options.stream === true
        ? await runner.run(agent, input, { ...options, session: view })
        : await runner.run(agent, input, { ...options, session: view });
  } catch (error) {
    await end();
    throw error;
  }
  if ('completed' in result) void result.completed.then(end, end);
  else await end();
  return result;
}

/** The innermost sessions on which a run of this session can have its turn. */
async function innersOf(session: Session, run: Run): Promise<Session[]> {
  const inner = innermostOf(session);
  // A session that follows branches gives its calls to the session of one. A run that it could not place has no turn.
  const history = await historyOf(inner, run).catch(() => inner);
  return [inner, innermostOf(history)];
}

async function isExclusive(session: Session): Promise<boolean> {
  const layers = [...layersOf(session), ...layersOf(await historyOf(innermostOf(session)))];
  return layers.some(({ name }) => name === 'exclusive');
}

function expected(session: unknown): string {
  return isObject(session) && 'runCompaction' in session
    ? 'a session wrapped with exclusive(), which must be above a session that compacts itself, because that passes no run context on: wrapSession(compactionSession, [exclusive()])'
    : 'a session wrapped with exclusive()';
}

type Readable = Session & RunContextAwareSession & Partial<OpenAIResponsesCompactionOwnershipAwareSession>;

/** The same session with the same members, for one run: `hear` gets its run context before its first read. */
function heardBy(session: Session, hear: (run: Run) => void): Session {
  const given = session as Readable;
  const { getItemsWithCompactionOwnership: getOwned } = given;
  const heard =
    <A extends unknown[], T>(place: number, member: (...args: A) => T) =>
    (...args: A): T => {
      const run = args[place] as Run | undefined;
      if (run !== undefined) hear(run);
      return member(...args);
    };
  const view = Object.create(given) as Readable;
  view.getItems = heard(1, (...args: Parameters<Readable['getItems']>) => given.getItems(...args));
  if (getOwned !== undefined) view.getItemsWithCompactionOwnership = heard(0, getOwned);
  return view;
}
