import { assistantMessage, ScriptedModel } from '@openai/agents/testing';
import { generateKey } from 'strongroom';

process.env['STRONGROOM_KEY'] ??= JSON.stringify(await generateKey());

// #region application
import { Agent, Runner } from '@openai/agents';
import config from './strongroom.config.ts';

const sessions = config.open();
const runner = new Runner(config.run);
// #endregion

const agent = new Agent({
  name: 'Assistant',
  model: new ScriptedModel([[assistantMessage('Hello, Anna.')]]),
});
const result = await runner.run(agent, 'I am Anna.', { session: sessions.session('user-123') });
console.log(result.finalOutput);
await sessions.close();
