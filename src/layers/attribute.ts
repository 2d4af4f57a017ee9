import type { AgentInputItem } from '@openai/agents';
import type { Entry, SessionCall, SessionLayer } from '../layer.ts';
import { isWellFormed } from '../crypto/encoding.ts';
import { checkOptions, invalidOption } from '../options.ts';
import { AGENT_FIELD } from '../protocol/agent-field.ts';
import { callKey, resultKey } from '../protocol/links.ts';
import { withParts } from '../protocol/sealed-record.ts';

/** A source of events of runs: a `Runner`, or an `Agent`. */
export interface AgentEvents {
  // The SDK types the two differently, by their events.
  on(event: never, listener: never): unknown;
}

/** Options of {@link attribute}. */
export interface AttributeOptions {
  /** The `Runner` of the runs; or, for runs of `run()`, all agents that can take part. */
  readonly events: AgentEvents | readonly AgentEvents[];
}

/** The known agents of one run. */
interface Trace {
  /** The agent at the position up to which the run was stored. */
  speaker: string | undefined;
  /** The agents that took over the run after that position, in order. */
  readonly next: string[];
  /** The agent of each call of a function tool, by call id. */
  readonly calls: Map<string, string>;
}

/** A header has 1,024 bytes for all fields. */
const LONGEST_NAME = 64;

/**
 * Writes the name of an item's agent into its header, for `turns()`, `page()`, `sessionStats()` and exports. Under
 * `encrypt()` the name is authenticated; it is stored in clear in the database, cut after 64 characters.
 *
 * The SDK does not pass the agent to a session, so the layer listens to the events of runs: it knows only the
 * agents of items that runs of this process write. Items of callers, items that were stored without the layer,
 * items of runs that it did not listen to, and agents that run as tools (their items are not stored) have no name.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`.
 *
 * @example
 * ```ts
 * import { MemorySession, Runner } from '@openai/agents';
 * import { attribute, encrypt, generateKey, keyring, wrapSession } from 'strongroom';
 *
 * const keys = keyring({ current: await generateKey() });
 * export const runner = new Runner();
 * export const session = wrapSession(new MemorySession(), [attribute({ events: runner }), encrypt({ keys })]);
 * ```
 */
export function attribute(options: AttributeOptions): SessionLayer {
  const where = 'attribute';
  checkOptions(where, options, ['events']);
  const { events } = options;
  const sources: readonly unknown[] = Array.isArray(events) ? events : [events];
  if (
    sources.length === 0 ||
    sources.some((source) => typeof (source as AgentEvents | null)?.on !== 'function')
  ) {
    return invalidOption(where, 'events', 'a Runner, or a list of agents', events);
  }
  const traces = new WeakMap<object, Trace>();
  const traceOf = (context: object): Trace => {
    const known = traces.get(context);
    if (known !== undefined) return known;
    const trace: Trace = { speaker: undefined, next: [], calls: new Map() };
    traces.set(context, trace);
    return trace;
  };
  for (const source of sources as readonly AgentEvents[]) listen(source, traceOf);

  return withParts({
    name: 'attribute',
    wantsRunContext: true,
    stamps: true,
    unique: true,
    write(entries: readonly Entry[], { runContext }: SessionCall): readonly Entry[] {
      const trace = runContext && traces.get(runContext);
      if (trace === undefined) return entries;
      return entries.map((entry) => {
        // Written back: its agent was recorded when it was first written.
        if (entry.header.t !== undefined || entry.header[AGENT_FIELD] !== undefined) return entry;
        const agent = speakerOf(entry.item, trace);
        return agent === undefined ? entry : { ...entry, header: { ...entry.header, [AGENT_FIELD]: agent } };
      });
    },
  });
}

/** Handles the arguments of one event after its context. */
type Heard = (trace: Trace, args: readonly unknown[]) => void;

/** A runner passes the agent after the context, an agent does not. */
function listen(source: AgentEvents, traceOf: (context: object) => Trace): void {
  const on = (event: 'agent_start' | 'agent_handoff' | 'agent_tool_start', heard: Heard): void => {
    const listener = (context: unknown, ...args: readonly unknown[]): void => {
      if (typeof context === 'object' && context !== null) heard(traceOf(context), args);
    };
    // The arguments are checked at run time, because the types of the two differ.
    source.on(event as never, listener as never);
  };
  on('agent_start', (trace, [agent]) => void (trace.speaker ??= nameOf(agent)));
  on('agent_handoff', (trace, agents) => {
    const to = nameOf(agents.at(-1));
    if (agents.length > 1) trace.speaker ??= nameOf(agents[0]);
    if (to !== undefined && trace.next.at(-1) !== to) trace.next.push(to);
  });
  on('agent_tool_start', (trace, args) => {
    const agent = args.length > 2 ? nameOf(args[0]) : (nameOf(source) ?? trace.next.at(-1) ?? trace.speaker);
    const { toolCall } = (args.at(-1) ?? {}) as { readonly toolCall?: AgentInputItem };
    const key = toolCall && callKey(toolCall);
    if (agent !== undefined && key !== undefined) trace.calls.set(key, agent);
    trace.speaker ??= agent;
  });
}

/** Advances over the item, and returns its agent. */
function speakerOf(item: AgentInputItem, trace: Trace): string | undefined {
  const { role } = item as { readonly role?: string };
  if (role === 'user' || role === 'system') return undefined;
  const key = callKey(item) ?? resultKey(item);
  const caller = key === undefined ? undefined : trace.calls.get(key);
  if (caller !== undefined) return caller;
  const { speaker } = trace;
  const [next] = trace.next;
  if (next !== undefined && isHandoffTo(item, next)) {
    trace.speaker = next;
    trace.next.shift();
  }
  return speaker;
}

/** The result of the call by which an agent hands over; its text is fixed by the SDK. */
function isHandoffTo(item: AgentInputItem, agent: string): boolean {
  if (item.type !== 'function_call_result') return false;
  const { output } = item as { readonly output?: unknown };
  const text = typeof output === 'string' ? output : (output as { readonly text?: unknown } | null)?.text;
  try {
    return (
      typeof text === 'string' &&
      nameOf({ name: (JSON.parse(text) as { assistant?: unknown }).assistant }) === agent
    );
  } catch {
    return false;
  }
}

function nameOf(agent: unknown): string | undefined {
  const name = (agent as { readonly name?: unknown } | undefined)?.name;
  if (typeof name !== 'string' || name === '') return undefined;
  // A surrogate pair may have been cut.
  const short = name.slice(0, LONGEST_NAME).replace(/[\uD800-\uDBFF]$/, '');
  return isWellFormed(short) ? short : undefined;
}
