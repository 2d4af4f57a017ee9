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

/** Who speaks in a run. */
interface Speakers {
  /** The agent at the position up to which the run was stored. */
  readonly speaker: string | undefined;
  /** The agents that took over the run after that position, in order. */
  readonly next: readonly string[];
}

/** The known agents of the run that a run context has now. */
interface Trace {
  run: Speakers;
  /** The last of `next` has not started yet. */
  isHandingOver: boolean;
  /** The agent of each call of a function tool, by call id. */
  readonly calls: Map<string, string>;
  /** The calls that are in progress, and the run that made the first of them: a tool can start a run of its own. */
  readonly open: Set<string>;
  outer: Speakers;
}

const NOBODY: Speakers = { speaker: undefined, next: [] };

/** A header has 1,024 bytes for all fields. */
const LONGEST_NAME = 64;

/**
 * Writes the name of an item's agent into its header, for `turns()`, `page()`, `sessionStats()` and exports. Under
 * `encrypt()` the name is authenticated; it is stored in clear in the database, cut after 64 characters.
 *
 * The SDK does not pass the agent to a session, so the layer listens to the events of runs: it knows only the
 * agents of items that runs of this process write. Items of callers, items that were stored without the layer,
 * items of runs that it did not listen to, and agents that run as tools (their items are not stored) have no name.
 * The layer tells runs apart by their `RunContext`: runs at the same time must not share one, or names are mixed up.
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
    const trace: Trace = {
      run: NOBODY,
      isHandingOver: false,
      calls: new Map(),
      open: new Set(),
      outer: NOBODY,
    };
    traces.set(context, trace);
    return trace;
  };
  /** The inputs of the starts that were heard. */
  const started = new WeakSet();
  for (const source of sources as readonly AgentEvents[]) listen(source, traceOf, started);

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

type EventName = 'agent_start' | 'agent_handoff' | 'agent_tool_start' | 'agent_tool_end';

/** A runner passes the agent after the context, an agent does not. */
function listen(source: AgentEvents, traceOf: (context: object) => Trace, started: WeakSet<object>): void {
  const on = (event: EventName, heard: Heard): void => {
    const listener = (context: unknown, ...args: readonly unknown[]): void => {
      if (typeof context === 'object' && context !== null) heard(traceOf(context), args);
    };
    // The arguments are checked at run time, because the types of the two differ.
    source.on(event as never, listener as never);
  };
  on('agent_start', (trace, [agent, input]) => {
    // Listening to a runner and to its agents, the layer hears each start twice.
    if (typeof input === 'object' && input !== null) {
      if (started.has(input)) return;
      started.add(input);
    }
    const name = nameOf(agent);
    // An agent that no other handed over to begins a run.
    if (!trace.isHandingOver || trace.run.next.at(-1) !== name) trace.run = { speaker: name, next: [] };
    trace.isHandingOver = false;
  });
  on('agent_handoff', (trace, agents) => {
    const to = nameOf(agents.at(-1));
    if (agents.length > 1) speaks(trace, nameOf(agents[0]));
    if (to === undefined) return;
    const { next } = trace.run;
    if (next.at(-1) !== to) trace.run = { ...trace.run, next: [...next, to] };
    trace.isHandingOver = true;
  });
  on('agent_tool_start', (trace, args) => {
    const { speaker, next } = trace.run;
    const agent = args.length > 2 ? nameOf(args[0]) : (nameOf(source) ?? next.at(-1) ?? speaker);
    const key = keyOfCall(args);
    if (agent !== undefined && key !== undefined) trace.calls.set(key, agent);
    speaks(trace, agent);
    if (key === undefined) return;
    if (trace.open.size === 0) trace.outer = trace.run;
    trace.open.add(key);
  });
  on('agent_tool_end', (trace, args) => {
    const key = keyOfCall(args);
    // Only a run of a tool can have changed it.
    if (key !== undefined && trace.open.delete(key) && trace.open.size === 0) trace.run = trace.outer;
  });
}

/** The first agent of a run that is heard of only later, because it was resumed. */
function speaks(trace: Trace, agent: string | undefined): void {
  if (trace.run.speaker === undefined) trace.run = { ...trace.run, speaker: agent };
}

function keyOfCall(args: readonly unknown[]): string | undefined {
  const { toolCall } = (args.at(-1) ?? {}) as { readonly toolCall?: AgentInputItem };
  return toolCall && callKey(toolCall);
}

/** Advances over the item, and returns its agent. */
function speakerOf(item: AgentInputItem, trace: Trace): string | undefined {
  const { role } = item as { readonly role?: string };
  if (role === 'user' || role === 'system') return undefined;
  const key = callKey(item) ?? resultKey(item);
  const caller = key === undefined ? undefined : trace.calls.get(key);
  if (caller !== undefined) return caller;
  const { speaker, next } = trace.run;
  const [first] = next;
  if (first !== undefined && isHandoffTo(item, first)) trace.run = { speaker: first, next: next.slice(1) };
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
