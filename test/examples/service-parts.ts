import { Runner, type ModelProvider } from '@openai/agents';
import type { Hono } from 'hono';
import type { JWK } from 'jose';
import { createRunner, agent } from '../../examples/service/agent.ts';
import { createApp } from '../../examples/service/app.ts';
import { bearerTokens, issueToken, type Caller } from '../../examples/service/callers.ts';
import { openConversations, type Conversations } from '../../examples/service/conversations.ts';
import { createRuns, type Runs } from '../../examples/service/runs.ts';
import { tenantKeyrings, type TenantKeys } from '../../examples/service/tenants.ts';
import { complianceRunConfig, generateKey, type AuditEvent, type Store } from '../../src/index.ts';

export const ADA: Caller = { tenant: 'acme', user: 'ada@example.com' };
export const BO: Caller = { tenant: 'acme', user: 'bo' };
/** The user of another tenant who has the name of the first. */
export const OTHER_ADA: Caller = { tenant: 'globex', user: 'ada@example.com' };

export const TOKEN_KEY: JWK = { kty: 'oct', k: Buffer.alloc(32, 7).toString('base64url') };

/** The service in this process, over a store of the test. */
export interface TestService {
  readonly app: Hono;
  readonly conversations: Conversations;
  readonly runs: Runs;
  readonly events: readonly AuditEvent[];
  readonly errors: readonly unknown[];
  /** Sends a body as a caller. */
  ask(caller: Caller, body: unknown, signal?: AbortSignal): Promise<Response>;
}

export async function makeKeys(): Promise<TenantKeys> {
  return { acme: { current: await generateKey() }, globex: { current: await generateKey() } };
}

/** @param modelProvider Without one, the model of the example without an OpenAI key. */
export function serviceOver(store: Store, keys: TenantKeys, modelProvider?: ModelProvider): TestService {
  const events: AuditEvent[] = [];
  const errors: unknown[] = [];
  const runs = createRuns();
  const conversations = openConversations({
    store,
    keysOf: tenantKeyrings(keys),
    sink: (event) => void events.push(event),
  });
  const app = createApp({
    agent,
    runner:
      modelProvider === undefined ? createRunner() : new Runner({ ...complianceRunConfig(), modelProvider }),
    authenticate: bearerTokens(TOKEN_KEY),
    conversations,
    runs,
    ping: async () => store.ping(),
    onError: (error) => void errors.push(error),
  });
  return {
    app,
    conversations,
    runs,
    events,
    errors,
    ask: async (caller, body, signal) =>
      app.request('/invocations', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await issueToken(TOKEN_KEY, caller)}`,
          'content-type': 'application/json',
        },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...(signal !== undefined && { signal }),
      }),
  };
}

/** The text and the conversation of an answer, whole or streamed. */
export async function read(response: Response): Promise<{ readonly text: string; readonly id: string }> {
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${body}`);
  const message = response.headers.get('content-type')?.startsWith('text/event-stream')
    ? eventsOf(body).find(({ type }) => type === 'response.output_item.done')
    : JSON.parse(body);
  const [item] = message.output ?? [message.item];
  return { text: item.content[0].text, id: message.custom_outputs.session_id };
}

interface Event {
  readonly type: string;
  readonly [name: string]: unknown;
}

/** The events of a stream, without `[DONE]`. */
export function eventsOf(body: string): Event[] {
  return body
    .split('\n\n')
    .filter((part) => part !== '' && part !== 'data: [DONE]')
    .map((part) => JSON.parse(part.slice('data: '.length)) as Event);
}
