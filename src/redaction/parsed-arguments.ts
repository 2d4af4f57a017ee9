import type * as agents from '@openai/agents';
import type { FunctionTool, Model } from '@openai/agents';
import { loadedSdks } from './loaded-sdks.ts';

/**
 * What the approval policy of a tool gets from the SDK for these arguments: the output of the tool's schema, with its
 * defaults and conversions, or the arguments as they are when the schema refuses them (the tool refuses them too).
 * `undefined` when the SDK finds no parser for the tool, or the output is no plain object: the SDK itself then asks for
 * an approval, or ends the run.
 *
 * The SDK keeps parsers by the identity of `tool.invoke` and exports no function that reads them, but its runner gives
 * the parsed arguments to an approval policy. So a run of its own calls the tool once, with a policy that notes them
 * and asks for an approval: the run ends there, before the tool is invoked.
 */
export async function parsedArguments(tool: FunctionTool, text: string): Promise<Parsed | undefined> {
  for (const sdk of await loadedSdks()) {
    const parsed = await parsedBy(sdk, tool, text);
    if (parsed !== undefined) return parsed;
  }
  return undefined;
}

interface Parsed {
  readonly value: unknown;
}

async function parsedBy(
  { Agent, Runner, Usage }: typeof agents,
  tool: FunctionTool,
  text: string,
): Promise<Parsed | undefined> {
  let noted: Parsed | undefined;
  const probe = {
    type: 'function',
    name: NAME,
    description: '',
    strict: false,
    // None: the runner then gives the policy text where it parsed nothing, and an object where it did.
    parameters: undefined,
    invoke: tool.invoke,
    isEnabled: async () => true,
    needsApproval: async (_runContext: unknown, value: unknown) => {
      noted = { value };
      return true;
    },
  };
  const call = { type: 'function_call', callId: NAME, name: NAME, arguments: text } as const;
  const model: Model = {
    getResponse: async () => ({ usage: new Usage(), output: [call] }),
    getStreamedResponse: () => {
      throw new Error('not streamed');
    },
  };
  // A tool without a schema is none by its type.
  const agent = new Agent({ name: NAME, model, tools: [probe as unknown as FunctionTool] });
  try {
    await new Runner({ tracingDisabled: true, traceIncludeSensitiveData: false }).run(agent, '');
  } catch {
    // The error refers to a run state that holds the restored arguments.
    return undefined;
  }
  return noted?.value === text ? { value: JSON.parse(text) as unknown } : noted;
}

const NAME = 'strongroom_arguments';
