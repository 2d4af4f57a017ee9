/** The answer of `POST /invocations`, whole or as a stream of events. */
import type { AgentOutputItem, RunStreamEvent } from '@openai/agents';

/** A message of the assistant. */
interface Message {
  readonly type: 'message';
  readonly id: string;
  readonly role: 'assistant';
  readonly status: 'completed';
  readonly content: readonly {
    readonly type: 'output_text';
    readonly text: string;
    readonly annotations: [];
  }[];
}

/** The body of an answer. */
export interface Answer {
  readonly object: 'response';
  readonly output: readonly Message[];
  readonly custom_outputs: { readonly session_id: string };
}

/** One event of a stream. */
export type AnswerEvent =
  | { readonly type: 'response.output_text.delta'; readonly item_id: string; readonly delta: string }
  | {
      readonly type: 'response.output_item.done';
      readonly item: Message;
      readonly custom_outputs: Answer['custom_outputs'];
    };

/** What the assistant said in a run, without tool calls and reasoning. */
export function answerOf(output: readonly AgentOutputItem[], conversation: string): Answer {
  return {
    object: 'response',
    output: output.flatMap((item) => messageOf(item) ?? []),
    custom_outputs: { session_id: conversation },
  };
}

/** The events of a run that a caller gets: texts as they come, and each message when it is complete. */
export async function* answerEvents(
  events: AsyncIterable<RunStreamEvent>,
  conversation: string,
): AsyncGenerator<AnswerEvent> {
  let id = newId();
  for await (const event of events) {
    if (event.type === 'raw_model_stream_event' && event.data.type === 'output_text_delta') {
      yield { type: 'response.output_text.delta', item_id: id, delta: event.data.delta };
    }
    if (event.type === 'run_item_stream_event' && event.name === 'message_output_created') {
      const item = messageOf(event.item.rawItem, id);
      if (item !== undefined) {
        yield { type: 'response.output_item.done', item, custom_outputs: { session_id: conversation } };
      }
      id = newId();
    }
  }
}

function messageOf(item: AgentOutputItem, id: string = newId()): Message | undefined {
  if (!('role' in item) || item.role !== 'assistant') return undefined;
  const content = item.content.flatMap((part) =>
    part.type === 'output_text' ? [{ type: part.type, text: part.text, annotations: [] as [] }] : [],
  );
  return { type: 'message', id, role: 'assistant', status: 'completed', content };
}

function newId(): string {
  return `msg_${crypto.randomUUID()}`;
}
