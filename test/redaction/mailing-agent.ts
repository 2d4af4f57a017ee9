import { Agent, Runner, tool, type AgentInputItem, type RunContext, type Session } from '@openai/agents';
import { assistantMessage, functionCall, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { z } from 'zod';
import { encrypt, redact, wrapSession } from '../../src/index.ts';
import { createRedactor, redactModelInput, restoreToolArguments } from '../../src/redaction/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/index.ts';

export const ADDRESS = 'Jane.Roe@acme.com';
/** Looks like a token of ours; nobody ever issued it. */
export const FORGED = '<EMAIL_ADDRESS_bcdfghjklmnpqrstbcdf>';
const TOKEN = /<EMAIL_ADDRESS_[bcdfghjklmnpqrst]{20}>/;

/** An agent that mails, pseudonymized to the model and at rest, restored at its tool. */
export interface MailingAgent {
  readonly store: Store;
  readonly session: Session;
  readonly agent: Agent<unknown, 'text'>;
  readonly model: ScriptedModel;
  readonly runner: Runner;
  /** What the tool got. */
  readonly sent: string[];
  /** What the approval policy got. */
  readonly judged: string[];
}

/** Opens the same agent over the same file, as every process does. */
export function openMailingAgent(
  file: string,
  needsApproval: boolean,
  steps: ConstructorParameters<typeof ScriptedModel>[0],
): MailingAgent {
  const store = openSqlite(file);
  const vault = wrapSession(store.session('jane:vault'), [encrypt({ keys: fixedKeyring() })]);
  const operators = { DEFAULT: { type: 'pseudonymize', key: new Uint8Array(32).fill(3) } } as const;
  const redactor = createRedactor({ operators, vault });
  const sent: string[] = [];
  const judged: string[] = [];
  const sendEmail = restoreToolArguments(
    tool({
      name: 'send_email',
      description: 'Sends an e-mail.',
      parameters: z.object({ to: z.string(), text: z.string() }),
      needsApproval: async (_context: RunContext, input: { to: string }) => {
        judged.push(input.to);
        return needsApproval;
      },
      execute: async ({ to, text }) => {
        sent.push(`${to}: ${text}`);
        return `sent to ${to}`;
      },
    }),
    redactor,
  );
  const model = new ScriptedModel(steps);
  return {
    store,
    session: wrapSession(store.session('jane'), [redact({ operators, vault })]),
    agent: new Agent({ name: 'Mailer', instructions: `You work for ${ADDRESS}.`, model, tools: [sendEmail] }),
    model,
    runner: new Runner({ tracingDisabled: true, callModelInputFilter: redactModelInput(redactor) }),
    sent,
    judged,
  };
}

/** The model calls the tool with the token that it was shown, and with one that nobody issued. */
export const callTool: ReturnType<typeof modelResponder> = modelResponder(({ request }) => {
  const token = TOKEN.exec(JSON.stringify(lastUserMessage(request.input as AgentInputItem[])))?.[0] ?? 'none';
  const text = `For "you"\nand ${token.toLowerCase().slice(1, -1)} not ${FORGED}`;
  return [functionCall('send_email', { to: token, text }, { callId: 'call_1' })];
});

/** The model says what the tool returned. */
export const answer: ReturnType<typeof modelResponder> = modelResponder(({ request }) => {
  const result = (request.input as AgentInputItem[]).findLast((item) => item.type === 'function_call_result');
  return [
    assistantMessage(`Done: ${JSON.stringify(result?.type === 'function_call_result' ? result.output : '')}`),
  ];
});

function lastUserMessage(items: readonly AgentInputItem[]): AgentInputItem | undefined {
  return items.findLast((item) => 'role' in item && item.role === 'user');
}
