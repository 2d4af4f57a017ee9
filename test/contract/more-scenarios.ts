import { Agent, hostedMcpTool, type AgentInputItem, type AgentOutputItem } from '@openai/agents';
import { SandboxAgent, shell } from '@openai/agents/sandbox';
import {
  assistantMessage,
  functionCall,
  scriptedSandboxSession,
  ScriptedModel,
} from '@openai/agents/testing';
import {
  firstTurn,
  inputOf,
  runOnce,
  SCENARIO_TEXTS,
  type Performance,
  type Stage,
} from '../../src/testing/scenarios.ts';

const REQUEST = SCENARIO_TEXTS[2] as string;
const DONE = SCENARIO_TEXTS[5] as string;

/** A sandbox agent lists files. */
export async function sandboxScenario(stage: Stage): Promise<Performance> {
  const sandbox = scriptedSandboxSession([{ method: 'execCommand', result: SCENARIO_TEXTS[4] as string }]);
  const model = new ScriptedModel([
    [functionCall('exec_command', { cmd: 'cat refund.txt' }, { callId: 'call_exec' })],
    [assistantMessage(DONE, { id: 'msg_done' })],
  ]);
  const agent = new SandboxAgent<unknown>({ name: 'Clerk', model, capabilities: [shell()] });
  const session = stage.open();
  await firstTurn(stage, session);
  const { finalOutput } = await runOnce(agent, REQUEST, stage, session, { sandbox: { session: sandbox } });
  model.assertComplete();
  return { toolRuns: sandbox.calls.length, lastInput: inputOf(model), finalOutput, failures: [], session };
}

/** A hosted MCP tool that a human approves. */
export async function hostedMcpScenario(stage: Stage): Promise<Performance> {
  const call = { name: 'read_page', arguments: '{"page":1}', server_label: 'docs' };
  const model = new ScriptedModel([
    [
      {
        type: 'hosted_tool_call',
        id: 'mcpl_1',
        name: 'mcp_list_tools',
        status: 'completed',
        providerData: {
          type: 'mcp_list_tools',
          id: 'mcpl_1',
          server_label: 'docs',
          tools: [{ name: 'read_page' }],
        },
      },
      {
        type: 'hosted_tool_call',
        id: 'mcpr_1',
        name: 'mcp_approval_request',
        status: 'completed',
        providerData: { type: 'mcp_approval_request', id: 'mcpr_1', ...call },
      },
    ],
    [
      {
        type: 'hosted_tool_call',
        id: 'mcp_1',
        name: 'mcp_call',
        status: 'completed',
        output: SCENARIO_TEXTS[4] as string,
        providerData: { type: 'mcp_call', id: 'mcp_1', ...call },
      },
      assistantMessage(DONE, { id: 'msg_done' }),
    ],
  ]);
  const agent = new Agent<unknown>({
    name: 'Reader',
    model,
    tools: [
      hostedMcpTool({
        serverLabel: 'docs',
        serverUrl: 'https://docs.invalid/mcp',
        requireApproval: 'always',
      }),
    ],
  });
  const session = stage.open();
  await firstTurn(stage, session);
  const { state } = await runOnce(agent, REQUEST, stage, session);
  for (const interruption of state.getInterruptions()) state.approve(interruption);
  const { finalOutput } = await runOnce(agent, state, stage, session);
  model.assertComplete();
  return { toolRuns: 1, lastInput: inputOf(model), finalOutput, failures: [], session };
}

/** Items as the SDK's adapter for the AI SDK makes them: the model's name and response id in the provider data. */
export function aiSdkItems(): AgentOutputItem[] {
  const providerData = {
    model: 'provider:model-1',
    responseId: 'resp_ai',
    vendor: { cacheControl: { type: 'x' } },
  };
  return [
    {
      type: 'reasoning',
      content: [{ type: 'input_text', text: SCENARIO_TEXTS[3] as string }],
      rawContent: [{ type: 'reasoning_text', text: SCENARIO_TEXTS[3] as string }],
      providerData: { ...providerData, vendor: { signature: 'EqQBsignature', redactedData: null } },
    },
    {
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [
        { type: 'output_text', text: SCENARIO_TEXTS[4] as string, providerData: { vendor: { index: 0 } } },
      ],
      providerData,
    },
  ];
}

/** Every form of input that `run()` takes, one of which repeats what is stored. */
export const INPUTS: readonly (readonly [string, string | AgentInputItem[]])[] = [
  ['a string', REQUEST],
  ['a single item', [{ role: 'user', content: REQUEST }]],
  [
    'several items',
    [
      { type: 'message', role: 'system', content: 'Answer in one sentence, please.' },
      { role: 'user', content: [{ type: 'input_text', text: REQUEST }] },
      { role: 'user', content: 'And hurry, the customer is waiting.' },
    ],
  ],
  [
    'items that repeat stored history',
    [
      { type: 'message', role: 'user', content: SCENARIO_TEXTS[0] as string },
      { role: 'user', content: REQUEST },
    ],
  ],
];
