import {
  Agent,
  Runner,
  RunState,
  tool,
  type AgentInputItem,
  type AgentOutputItem,
  type FunctionTool,
  type IndividualRunOptions,
  type RunContext,
  type RunContextAwareSession,
  type Session,
} from '@openai/agents';
import {
  assistantMessage,
  functionCall,
  ScriptedModel,
  type ScriptedModelInput,
} from '@openai/agents/testing';

/** How an interrupted run is resumed: from the same object, or from its serialized state in another process. */
export type Resume = 'live' | 'serialized';

/** The environment of a scenario. */
export interface Stage {
  /** The session of the next run. For a serialized resume it is called again: another process has its own wrapper. */
  open(): Session;
  readonly stream: boolean;
  /** The context of each run. */
  readonly context?: unknown;
}

/** The result of a scenario. */
export interface Performance {
  /** How many times the tool ran. */
  readonly toolRuns: number;
  /** What the model got in its last call. */
  readonly lastInput: readonly AgentInputItem[];
  readonly finalOutput: unknown;
  /** Errors of attempts that failed before one succeeded. */
  readonly failures: readonly unknown[];
  /** The session as the last run left it. */
  readonly session: Session;
}

/** The agents of the scenarios. */
export type SupportAgent = Agent<unknown, 'text'>;

/** The tool of the scenarios; it calls `work`. */
function refundTool(needsApproval: boolean, work: () => string): FunctionTool {
  return tool({
    name: 'refund',
    description: 'Refunds an order.',
    parameters: {
      type: 'object',
      properties: { order: { type: 'number' }, email: { type: 'string' } },
      required: ['order', 'email'],
      additionalProperties: false,
    },
    needsApproval,
    execute: work,
  }) as FunctionTool;
}

/** Personal data in every part of a scenario's history; a sealing or redacting store must not hold it. */
export const PERSONAL = 'mia.scenario@example.com';

/** All long texts of the scenarios, for looking them up in a store. */
export const SCENARIO_TEXTS: readonly string[] = [
  'Good morning, this is the first conversation.',
  'Good morning to you, how may we help?',
  `Please refund order 7 and write to ${PERSONAL}.`,
  'The customer wants a refund, a human has to approve it.',
  `Refund of order 7 is booked for ${PERSONAL}.`,
  `Your refund is on its way, ${PERSONAL} will hear from us.`,
];
const [HELLO, HELLO_BACK, REQUEST, THOUGHT, BOOKED, DONE] = SCENARIO_TEXTS as [
  string,
  string,
  string,
  string,
  string,
  string,
];

const runner = new Runner({ tracingDisabled: true });

/** A finished run. */
export interface Run {
  readonly state: RunState<unknown, SupportAgent>;
  readonly finalOutput: unknown;
}

/** One run to its end, streamed or not. The state survives a failure, as it does for the caller of a live run. */
export async function runOnce(
  agent: SupportAgent,
  input: string | AgentInputItem[] | RunState<unknown, SupportAgent>,
  stage: Stage,
  session: Session,
  options: Pick<IndividualRunOptions<unknown>, 'sandbox' | 'conversationId'> = {},
): Promise<Run> {
  if (!stage.stream) {
    const result = await runner.run(agent, input, { ...options, session, context: stage.context });
    return { state: result.state, finalOutput: outputOf(result) };
  }
  const result = await runner.run(agent, input, {
    ...options,
    session,
    context: stage.context,
    stream: true,
  });
  for await (const _ of result) {
    // Consumed, as by a user interface.
  }
  await result.completed;
  return { state: result.state, finalOutput: outputOf(result) };
}

/** The answer, `undefined` for an interrupted run (where the SDK warns on access). */
function outputOf(result: {
  readonly interruptions: readonly unknown[];
  readonly finalOutput?: unknown;
}): unknown {
  return result.interruptions.length > 0 ? undefined : result.finalOutput;
}

/** How often a failed attempt is repeated: more than any scenario has faults. */
const ATTEMPTS = 4;

/** Repeats `attempt` after a failure; throws the error of the last attempt. */
async function untilItWorks<T>(failures: unknown[], attempt: () => Promise<T>): Promise<T> {
  for (let left = ATTEMPTS; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      failures.push(error);
      if (left === 1) throw error;
    }
  }
}

/** A plain first turn, so that the later turns have a history. */
export async function firstTurn(stage: Stage, session: Session): Promise<void> {
  const model = new ScriptedModel([[assistantMessage(HELLO_BACK, { id: 'msg_hello' })]]);
  await runOnce(new Agent({ name: 'Support', model }), HELLO, stage, session);
}

/**
 * A first turn, then a tool call that a human approves, resumed live or from its serialized state, with reasoning.
 * `beforeResume` may arm a fault; the resumed run is repeated until it succeeds.
 */
export async function approvalScenario(
  stage: Stage,
  resume: Resume,
  beforeResume: () => void = () => undefined,
): Promise<Performance> {
  let toolRuns = 0;
  const failures: unknown[] = [];
  const model = new ScriptedModel([
    [
      { type: 'reasoning', id: 'rs_refund', content: [{ type: 'input_text', text: THOUGHT }] },
      functionCall('refund', { order: 7, email: PERSONAL }, { callId: 'call_refund', id: 'fc_refund' }),
    ],
    [assistantMessage(DONE, { id: 'msg_done' })],
  ]);
  const refund = refundTool(true, () => {
    toolRuns++;
    return BOOKED;
  });
  const agent: SupportAgent = new Agent({ name: 'Support', model, tools: [refund] });
  let session = stage.open();
  await firstTurn(stage, session);
  let { state } = await runOnce(agent, REQUEST, stage, session);
  const takeUp = async (): Promise<void> => {
    if (resume === 'live') return;
    state = await RunState.fromString<unknown, SupportAgent>(agent, state.toString());
    session = stage.open();
  };
  await takeUp();
  for (const interruption of state.getInterruptions()) state.approve(interruption);
  beforeResume();
  let first = true;
  const { finalOutput } = await untilItWorks(failures, async () => {
    if (!first) await takeUp();
    first = false;
    return runOnce(agent, state, stage, session);
  });
  model.assertComplete();
  return { toolRuns, lastInput: inputOf(model), finalOutput, failures, session };
}

/**
 * A tool works, then an output guardrail blocks the answer, and accepts it when the run is resumed: an
 * `append_items` and a `replace_suffix` where the session has transactions. `arm` is called before each of the two.
 */
export async function blockedScenario(
  stage: Stage,
  arm: (phase: 'blocked' | 'accepted') => void = () => undefined,
): Promise<Performance> {
  let toolRuns = 0;
  let blocks = 1;
  const failures: unknown[] = [];
  const model = new ScriptedModel([
    [functionCall('refund', { order: 7, email: PERSONAL }, { callId: 'call_refund' })],
    [assistantMessage(DONE, { id: 'msg_done' })],
  ]);
  const refund = refundTool(false, () => {
    toolRuns++;
    return BOOKED;
  });
  const agent: SupportAgent = new Agent({
    name: 'Support',
    model,
    tools: [refund],
    outputGuardrails: [
      {
        name: 'four eyes',
        execute: () => Promise.resolve({ tripwireTriggered: blocks-- > 0, outputInfo: {} }),
      },
    ],
  });
  const session = stage.open();
  await firstTurn(stage, session);
  arm('blocked');
  const blocked: unknown = await runOnce(agent, REQUEST, stage, session).then(
    () => undefined,
    (error: unknown) => error,
  );
  failures.push(blocked);
  const state = (blocked as { state?: RunState<unknown, SupportAgent> } | undefined)?.state;
  if (state === undefined) throw new Error('The blocked run left no state.', { cause: blocked });
  arm('accepted');
  const { finalOutput } = await untilItWorks(failures, async () => runOnce(agent, state, stage, session));
  model.assertComplete();
  return { toolRuns, lastInput: inputOf(model), finalOutput, failures, session };
}

/**
 * A turn in which the model puts a compaction item before its answer, and one more turn. Failures of the first are
 * kept; `arm` returns the function that is called before the second.
 */
export async function serverCompactionScenario(
  stage: Stage,
  arm: () => () => void = () => () => undefined,
): Promise<Performance> {
  const failures: unknown[] = [];
  const model = new ScriptedModel();
  const agent: SupportAgent = new Agent({ name: 'Support', model });
  const session = stage.open();
  await firstTurn(stage, session);
  const disarm = arm();
  model.enqueue([
    { type: 'compaction', id: 'cmp_server', encrypted_content: 'opaque to everybody but the service' },
    assistantMessage(DONE, { id: 'msg_done' }),
  ]);
  await runOnce(agent, REQUEST, stage, session).catch((error: unknown) => failures.push(error));
  disarm();
  model.enqueue([assistantMessage(HELLO_BACK, { id: 'msg_last' })]);
  const { finalOutput } = await runOnce(agent, HELLO, stage, session);
  model.assertComplete();
  return { toolRuns: 0, lastInput: inputOf(model), finalOutput, failures, session };
}

/** A handoff to a specialist, who answers. */
export async function handoffScenario(stage: Stage): Promise<Performance> {
  const model = new ScriptedModel([
    [functionCall('transfer_to_Specialist', {}, { callId: 'call_handoff' })],
    [assistantMessage(DONE, { id: 'msg_done' })],
  ]);
  const specialist: SupportAgent = new Agent({ name: 'Specialist', model });
  const agent: SupportAgent = new Agent({ name: 'Support', model, handoffs: [specialist] });
  const session = stage.open();
  await firstTurn(stage, session);
  const { finalOutput } = await runOnce(agent, REQUEST, stage, session);
  model.assertComplete();
  return { toolRuns: 0, lastInput: inputOf(model), finalOutput, failures: [], session };
}

/** One turn with this input and these items from the model, and one more turn that shows the stored history. */
export async function turnScenario(
  stage: Stage,
  input: string | AgentInputItem[],
  output: readonly AgentOutputItem[] = [],
): Promise<Performance> {
  const model = new ScriptedModel([
    [...output, assistantMessage(DONE, { id: 'msg_done' })] as ScriptedModelInput,
    [assistantMessage(HELLO_BACK, { id: 'msg_last' })],
  ]);
  const agent: SupportAgent = new Agent({ name: 'Support', model });
  const session = stage.open();
  await firstTurn(stage, session);
  await runOnce(agent, input, stage, session);
  const { finalOutput } = await runOnce(agent, HELLO, stage, session);
  model.assertComplete();
  return { toolRuns: 0, lastInput: inputOf(model), finalOutput, failures: [], session };
}

/** All items of a session, also of one that requires a run context. */
export async function historyOf(session: Session, context?: RunContext<unknown>): Promise<AgentInputItem[]> {
  return context === undefined
    ? session.getItems()
    : (session as RunContextAwareSession).getItems(undefined, context);
}

/** What the model got in its last call. */
export function inputOf(model: ScriptedModel): readonly AgentInputItem[] {
  const input = model.lastCall?.request.input ?? [];
  return typeof input === 'string' ? [{ role: 'user', content: input }] : input;
}
