/**
 * The requirements of the README's first lines: a key in the environment, and a model that answers without an
 * OpenAI key.
 */
import { setDefaultModelProvider, setTracingDisabled } from '@openai/agents';
import { ScriptedModel, assistantMessage, modelResponder } from '@openai/agents/testing';
import { generateKey } from 'strongroom';

process.env['STRONGROOM_KEY'] ??= JSON.stringify(await generateKey());

if (process.env['OPENAI_API_KEY'] === undefined) {
  setTracingDisabled(true);
  setDefaultModelProvider({
    getModel: () =>
      new ScriptedModel([
        modelResponder(({ request }) => [
          assistantMessage(`Hello! I was given ${request.input.length} items.`),
        ]),
      ]),
  });
}
