import { flushCompileCache } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, Runner, tool, type AgentInputItem, type Session } from '@openai/agents';
import { assistantMessage, functionCall, modelResponder, ScriptedModel } from '@openai/agents/testing';
import type { JWK } from 'jose';
import { z } from 'zod';
import { isStrongroomError } from '../../src/errors.ts';
import { runExclusive, wrapStore } from '../../src/index.ts';
import { openStore } from './open-store.ts';
import { runLayers } from './run-layers.ts';

// A process of its own that talks to an agent, with the full stack over one database, until it is killed or told to stop. It
// says `ready` and waits for a line with the process's name. Each further line of its output is a turn: `done SESSION MARK` was
// acknowledged, `failed SESSION MARK CODE` was not.
const [target = '', name = '', key = '', sessionCount = ''] = process.argv.slice(2);

await using store = openStore(target, name);
const sessions = wrapStore(store, runLayers(JSON.parse(key) as JWK));

const look = tool({
  name: 'look',
  description: 'Looks up an order.',
  parameters: z.object({ mark: z.string() }),
  execute: ({ mark }) => `order of ${mark}`,
});

/** What a person said last. */
function lastSaid(input: string | readonly AgentInputItem[]): string {
  if (typeof input === 'string') return input;
  const said = input.findLast((item) => item.type === undefined || item.type === 'message');
  const content = said !== undefined && 'content' in said ? said.content : '';
  return typeof content === 'string' ? content : JSON.stringify(content);
}

/** Calls the tool, then answers: four items a turn. */
function agentFor(mark: string): Agent {
  const model = new ScriptedModel([
    modelResponder(() => [functionCall('look', { mark }, { callId: `call-${mark}` })]),
    modelResponder(({ request }) => [
      assistantMessage(`answer ${mark} after ${lastSaid(request.input).length}`),
    ]),
  ]);
  return new Agent({ name: 'Support', model, tools: [look] });
}

const runner = new Runner({ tracingDisabled: true });
await store.ping();
// Not at its end: the process may be killed.
flushCompileCache();
process.stdout.write('ready\n');
const own = await new Promise<string>((resolve) => {
  process.stdin.once('data', (line) => resolve(String(line).trim()));
});
const stop = new AbortController();
process.stdin.once('data', () => stop.abort());

for (let turn = 0; !stop.signal.aborted; turn++) {
  const id = `chat-${Math.floor(Math.random() * Number(sessionCount))}`;
  const mark = `m${own}x${turn}m`;
  try {
    const session: Session = sessions.session(id);
    await runExclusive(runner, agentFor(mark), `${mark}: where is the order of ada@example.com?`, {
      session,
    });
    process.stdout.write(`done ${id} ${mark}\n`);
  } catch (error) {
    const code = isStrongroomError(error)
      ? error.code
      : `${(error as Error).name}: ${(error as Error).message}`;
    process.stdout.write(`failed ${id} ${mark} ${code}\n`);
    await delay(50);
  }
}
process.stdout.write('over\n');
process.stdin.destroy();
