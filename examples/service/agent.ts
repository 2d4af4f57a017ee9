/** The agent, and a model that answers without an OpenAI key. */
import { Agent, Runner, type AgentInputItem, type ModelProvider } from '@openai/agents';
import { ScriptedModel, assistantMessage, modelResponder } from '@openai/agents/testing';
import { complianceRunConfig } from 'strongroom';
import type { Caller } from './callers.ts';

export const agent: Agent<Caller> = new Agent<Caller>({
  name: 'Assistant',
  instructions: 'Answer in one sentence. Use what the user told you earlier.',
});

/** No traces and no copy at the model provider. With `OPENAI_API_KEY` the SDK's default model answers. */
export function createRunner(
  modelProvider: ModelProvider | undefined = process.env['OPENAI_API_KEY'] === undefined
    ? offline
    : undefined,
): Runner {
  return new Runner({ ...complianceRunConfig(), ...(modelProvider !== undefined && { modelProvider }) });
}

/** Repeats what the user said in earlier turns, so that an answer shows which history its model was given. */
const offline: ModelProvider = {
  getModel: () =>
    new ScriptedModel([
      modelResponder(({ request }) => {
        const said = typeof request.input === 'string' ? [request.input] : request.input.flatMap(userText);
        const earlier = said.slice(0, -1);
        return [assistantMessage(earlier.length === 0 ? 'Noted.' : `You told me: ${earlier.join(' ')}`)];
      }),
    ]),
};

function userText(item: AgentInputItem): string[] {
  if (!('role' in item) || item.role !== 'user') return [];
  if (typeof item.content === 'string') return [item.content];
  return item.content.flatMap((part) => (part.type === 'input_text' ? [part.text] : []));
}
