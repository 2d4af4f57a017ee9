/**
 * The context window: the store keeps everything, the model gets the part that fits. `trimHistory` drops whole
 * turns in steps, so that most prompts begin like the previous one, as a provider's prompt cache requires.
 */
import { Agent, MemorySession, Runner, tool } from '@openai/agents';
import { ScriptedModel, assistantMessage, functionCall, modelResponder } from '@openai/agents/testing';
import { encrypt, generateKey, keyring, trimHistory, wrapSession } from 'strongroom';
import { clearToolOutputs } from 'strongroom/history';
import { z } from 'zod';

const session = wrapSession(new MemorySession(), [
  encrypt({ keys: keyring({ current: await generateKey() }) }),
]);
const lookUp = tool({
  name: 'look_up',
  description: 'Looks something up.',
  parameters: z.object({ page: z.number() }),
  execute: async ({ page }) => `Page ${page}: ${'a long text '.repeat(50)}`,
});

const TURNS = 10;
const sent: { items: number; characters: number }[] = [];
const model = new ScriptedModel(
  Array.from({ length: TURNS }, (_, turn) => [
    [functionCall('look_up', { page: turn + 1 }, { callId: `call_${turn + 1}` })],
    modelResponder(({ request }) => {
      sent.push({ items: request.input.length, characters: JSON.stringify(request.input).length });
      return [assistantMessage(`I have read page ${turn + 1}.`)];
    }),
  ]).flat(),
);

const runner = new Runner({ tracingDisabled: true });
const agent = new Agent({ name: 'Reader', model, tools: [lookUp] });
const moved: boolean[] = [];
const sessionInputCallback = trimHistory({ maxTurns: 6, onTrim: (report) => moved.push(report.moved) });
// Only the model's input changes: old tool results are emptied there, and stay whole in the store.
const callModelInputFilter = clearToolOutputs({ keep: 2 });

for (let turn = 1; turn <= TURNS; turn++) {
  const before = moved.length;
  await runner.run(agent, `Read page ${turn}.`, { session, sessionInputCallback, callModelInputFilter });
  const stored = await session.getItems();
  const { items, characters } = sent.at(-1) as (typeof sent)[number];
  console.log(
    `turn ${String(turn).padStart(2)}: ${String(stored.length).padStart(2)} items and ${JSON.stringify(stored).length} characters ` +
      `stored, ${String(items).padStart(2)} items and ${characters} characters sent${moved[before] ? ', the window moved' : ''}`,
  );
}
