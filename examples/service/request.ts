/** The body of `POST /invocations`, in the shape of the Responses API that MLflow's and Databricks' agent servers use. */
import type { AgentInputItem } from '@openai/agents';
import { z } from 'zod';
import { refusal } from './refusal.ts';

/** A UUID of version 7 (RFC 9562), as `sessionId()` makes it. */
const UUID_V7 = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

const RULE = {
  error: 'must be a text, or 1 to 100 messages {"role": "user", "content": "…"} and nothing else',
};
const text = z.string(RULE).min(1, RULE).max(100_000, 'must have at most 100,000 characters a text');

// Only what a user says. A caller who could send an assistant's or a system's message could write history.
const message = z.strictObject({
  type: z.literal('message').optional(),
  role: z.literal('user'),
  content: z.union([
    text,
    z
      .array(z.strictObject({ type: z.literal('input_text'), text }))
      .min(1)
      .max(100),
  ]),
});

const body = z.strictObject({
  input: z.union([text, z.array(message, RULE).min(1, RULE).max(100, RULE)], RULE),
  custom_inputs: z.strictObject({ session_id: z.string().optional() }).optional(),
  stream: z.boolean().optional(),
});

/** A request that was checked. */
export interface Invocation {
  readonly input: AgentInputItem[];
  /** Of an earlier answer; `undefined` begins a conversation. */
  readonly conversation: string | undefined;
  readonly stream: boolean;
}

/** Throws a refusal that names the field, and repeats nothing of the text. */
export async function readInvocation(request: Request): Promise<Invocation> {
  let json: unknown;
  try {
    json = await request.json();
  } catch {
    throw refusal(
      'invalid_request',
      'The body is not JSON. Send {"input": "…"} with content-type application/json.',
    );
  }
  const parsed = body.safeParse(json);
  if (!parsed.success) throw refusal('invalid_request', explain(parsed.error));
  const { input, custom_inputs, stream = false } = parsed.data;
  const conversation = custom_inputs?.session_id;
  if (conversation !== undefined && !UUID_V7.test(conversation)) {
    throw refusal(
      'invalid_request',
      `custom_inputs.session_id must be the id of an earlier answer, a UUID of version 7; it has ${conversation.length} characters. ` +
        'Omit it to begin a conversation.',
    );
  }
  return { input: itemsOf(input), conversation, stream };
}

function itemsOf(input: z.infer<typeof body>['input']): AgentInputItem[] {
  if (typeof input === 'string') return [{ type: 'message', role: 'user', content: input }];
  return input.map(({ role, content }) => ({
    type: 'message',
    role,
    content:
      typeof content === 'string'
        ? content
        : content.map((part) => ({ type: 'input_text', text: part.text })),
  }));
}

/** The first problem, with its path. Zod's own message for an enum or a literal repeats what is expected, never the input. */
function explain({ issues }: z.ZodError): string {
  const [issue] = issues;
  const path = issue?.path.join('.') ?? '';
  return `${path === '' ? 'The body' : path}: ${issue?.message ?? 'is invalid'}. See docs/service.md for the body of a request.`;
}
