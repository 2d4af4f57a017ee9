import type {
  AgentInputItem,
  NonStreamRunOptions,
  RunContext,
  Runner,
  RunResult,
  RunState,
  Session,
  StreamedRunResult,
  StreamRunOptions,
} from '@openai/agents';
import { invalidOption } from '../options.ts';
import type { SessionLayer } from '../layer.ts';
import { endTurn, keepTurn } from '../layers/exclusive.ts';
import { innermostOf, layersOf, wrapSession } from '../wrap-session.ts';

type AnyAgent = Parameters<Runner['run']>[0];
type Input<C, A extends AnyAgent> = string | AgentInputItem[] | RunState<C, A>;
type WithSession = { readonly session: Session };

/**
 * A run whose turn on the session ends when the run ends, with an answer, a provider's error, an abort, a tool
 * error, a guardrail or too many turns. With plain `run()` a run that fails writes nothing, and {@link exclusive}
 * detects its end only when its run context is garbage-collected, or after `hold`.
 *
 * @param options Those of the runner; `session` must be wrapped with `exclusive()`. A streamed run keeps its turn until
 * its stream is complete.
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
  if (!layersOf(session).some(({ name }) => name === 'exclusive'))
    invalidOption('runExclusive', 'session', 'a session wrapped with exclusive()', session);
  const contexts = new Set<RunContext<unknown>>();
  // Outermost, so that it gets the run context before a turn begins under it.
  const listener: SessionLayer = {
    name: 'runExclusive',
    wantsRunContext: true,
    async around(call, next) {
      if (call.runContext !== undefined) {
        contexts.add(call.runContext);
        keepTurn(call.runContext);
      }
      return next();
    },
  };
  const end = (): void => {
    for (const context of contexts) endTurn(innermostOf(session), context);
  };
  let result: RunResult<C, A> | StreamedRunResult<C, A>;
  try {
    const own = wrapSession(session, [listener]);
    result =
      options.stream === true
        ? await runner.run(agent, input, { ...options, session: own })
        : await runner.run(agent, input, { ...options, session: own });
  } catch (error) {
    end();
    throw error;
  }
  if ('completed' in result) void result.completed.then(end, end);
  else end();
  return result;
}
