/** The support desk: two agents, two tools, and a model that is scripted unless `OPENAI_API_KEY` is set. */
import {
  Agent,
  RunState,
  Runner,
  Usage,
  tool,
  type AgentInputItem,
  type RunStreamEvent,
  type Session,
  type StreamEvent,
} from '@openai/agents';
import {
  ScriptedModel,
  assistantMessage,
  functionCall,
  modelStreamResponder,
  type RecordedModelCall,
  type ScriptedModelInput,
} from '@openai/agents/testing';
import { complianceRunConfig, trimHistory, type Keyring } from 'strongroom';
import { openRunState, sealRunState } from 'strongroom/keys';
import { z } from 'zod';
import { answers, event, says, short, word } from './screen.ts';

/** Whether a scripted model answers, so that the demo knows the answers and can check them. */
export const scripted: boolean = !process.env['OPENAI_API_KEY'];

/** A support desk that talks to customers. */
export interface Desk {
  /**
   * One turn: what the customer says, the answer as it streams, and an approval in between if one is asked for.
   *
   * @returns The agent's input: the stored history and the new message.
   */
  talk(customer: string, text: string, session: Session): Promise<readonly AgentInputItem[]>;
}

/** A step of the script that answers word by word, as a real model streams. */
export function answer(text: string | ((call: RecordedModelCall) => string)): ScriptedModelInput {
  return modelStreamResponder((call) => {
    const whole = typeof text === 'string' ? text : text(call);
    const words: StreamEvent[] = Array.from(whole.matchAll(/\S+\s*/g), ([delta]) => ({
      type: 'output_text_delta',
      delta,
    }));
    const response = { id: `response-${call.index}`, usage: new Usage(), output: [assistantMessage(whole)] };
    return [{ type: 'response_started' }, ...words, { type: 'response_done', response }];
  });
}

/** A step of the script that calls a tool. */
export function call(name: string, args: Record<string, unknown>): ScriptedModelInput {
  return [functionCall(name, args, { callId: `call_${name}` })];
}

/** The desk with its script. The first agent hands refunds over to a specialist. */
export function openDesk(keys: Keyring, script: readonly ScriptedModelInput[]): Desk {
  const model = scripted ? { model: new ScriptedModel(script) } : {};
  const openTicket = tool({
    name: 'open_ticket',
    description: 'Opens a ticket for a problem and returns its number.',
    parameters: z.object({ summary: z.string() }),
    execute: async () => 'Ticket T-1042 is open.',
  });
  const payBack = tool({
    name: 'pay_back',
    description: 'Pays an amount in euros back to the card of the customer.',
    parameters: z.object({ ticket: z.string(), euros: z.number() }),
    needsApproval: true,
    execute: async ({ ticket, euros }) => `${euros} euros will be paid back for ${ticket}.`,
  });
  const refunds = new Agent({
    name: 'Refunds',
    handoffDescription: 'Pays money back once a ticket is open.',
    instructions:
      'You work at the refunds desk of a ferry line. Pay back with pay_back, then confirm in one sentence.',
    tools: [payBack],
    ...model,
  });
  const desk = Agent.create({
    name: 'Desk',
    instructions:
      'You work at the support desk of a ferry line. Open a ticket for every new problem with open_ticket. When ' +
      'money is to be paid back, hand over to Refunds. Answer questions about earlier tickets from the conversation.',
    tools: [openTicket],
    handoffs: [refunds],
    ...model,
  });
  const runner = new Runner(complianceRunConfig());
  const trim = trimHistory({ maxTokens: 8_000 });

  const talk: Desk['talk'] = async (customer, text, session) => {
    let given: readonly AgentInputItem[] = [];
    says(customer, text);
    let result = await runner.run(desk, text, {
      session,
      stream: true,
      sessionInputCallback: async (history, input) => {
        const kept = await trim(history, input);
        given = kept;
        return kept;
      },
    });
    await show(result);
    while (result.interruptions.length > 0) {
      // A person decides, perhaps tomorrow and in another process: the run state is serialized, sealed because it
      // holds the history in clear, and restored.
      const binding = { keys, id: await session.getSessionId() };
      const saved = await sealRunState(result.state, binding);
      event(`the run waits for a person, sealed: ${short(saved, 60)}`);
      const state = await RunState.fromString<undefined, typeof desk>(
        desk,
        await openRunState(saved, binding),
      );
      for (const interruption of state.getInterruptions()) {
        event(`a person approves ${interruption.name ?? 'the call'} ${interruption.arguments ?? ''}`);
        state.approve(interruption);
      }
      result = await runner.run(desk, state, { session, stream: true });
      await show(result);
    }
    return given;
  };

  return { talk };
}

interface StreamedRun extends AsyncIterable<RunStreamEvent> {
  readonly completed: Promise<void>;
  readonly currentAgent: { readonly name: string } | undefined;
}

async function show(result: StreamedRun): Promise<void> {
  let agent = result.currentAgent?.name ?? 'Desk';
  let speaking = false;
  for await (const piece of result) {
    if (piece.type === 'agent_updated_stream_event') agent = piece.agent.name;
    if (piece.type === 'raw_model_stream_event' && piece.data.type === 'output_text_delta') {
      if (!speaking) answers(agent);
      speaking = true;
      word(piece.data.delta);
      // Only so that a person can watch it stream.
      if (process.stdout.isTTY && scripted) await new Promise((resolve) => setTimeout(resolve, 25));
    }
    if (piece.type !== 'run_item_stream_event') continue;
    const { rawItem } = piece.item;
    if (piece.name === 'tool_called' && rawItem?.type === 'function_call') {
      event(`${agent} calls ${rawItem.name} ${rawItem.arguments}`);
    }
    if (piece.name === 'handoff_occurred') event(`${agent} hands over`);
    if (piece.name === 'tool_approval_requested') event('the call needs the approval of a person');
  }
  await result.completed;
  if (speaking) word('\n');
}
