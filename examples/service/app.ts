/** The service: one Fetch handler, which Node, Workers, Lambda and Next.js can host. */
import type { Agent, Runner, Session, SessionInputCallback } from '@openai/agents';
import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { streamSSE } from 'hono/streaming';
import { runExclusive, trimHistory } from 'strongroom';
import { sessionId } from 'strongroom/history';
import type { Authenticate, Caller } from './callers.ts';
import type { Conversations } from './conversations.ts';
import { errorResponse, publicError, refusal } from './refusal.ts';
import { readInvocation, type Invocation } from './request.ts';
import { answerEvents, answerOf, type AnswerEvent } from './response.ts';
import type { Runs } from './runs.ts';

/** What the handler works with. */
export interface Service {
  readonly agent: Agent<Caller>;
  readonly runner: Runner;
  readonly authenticate: Authenticate;
  readonly conversations: Conversations;
  readonly runs: Runs;
  /** Resolves when the database answers. */
  readonly ping: () => Promise<void>;
  /** Gets what a caller is not told. */
  readonly onError: (error: unknown) => void;
}

const MAX_BODY_BYTES = 2 ** 20;
const trim = trimHistory({ maxTokens: 8_000 });

/** `app.fetch` is the handler. */
export function createApp(service: Service): Hono {
  const { runs } = service;
  const app = new Hono();

  app.get('/healthz', async (c) => {
    if (runs.finishing) return errorResponse(refusal('shutting_down', 'This process is ending.'));
    await service.ping();
    return c.json({ status: 'ok' });
  });

  app.post(
    '/invocations',
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => errorResponse(refusal('too_large', `A body may have at most ${MAX_BODY_BYTES} bytes.`)),
    }),
    async (c) => {
      const request = c.req.raw;
      const caller = await service.authenticate(request);
      const invocation = await readInvocation(request);
      const run = { caller, invocation, conversation: invocation.conversation ?? sessionId() };
      const end = runs.begin();
      return invocation.stream
        ? streamed(service, c, run, end)
        : whole(service, request.signal, run).finally(end);
    },
  );

  app.notFound(() => errorResponse(refusal('not_found', 'Use POST /invocations or GET /healthz.')));
  app.onError((error) => {
    service.onError(error);
    return errorResponse(error);
  });
  return app;
}

interface Run {
  readonly caller: Caller;
  readonly invocation: Invocation;
  /** The id that the caller knows. */
  readonly conversation: string;
}

async function whole(service: Service, signal: AbortSignal, run: Run): Promise<Response> {
  const { agent, runner } = service;
  const { output } = await runExclusive(runner, agent, run.invocation.input, optionsOf(service, signal, run));
  return Response.json(answerOf(output, run.conversation));
}

async function streamed(service: Service, c: Context, run: Run, end: () => void): Promise<Response> {
  const { agent, runner } = service;
  // A caller that goes away ends its run, and with it its turn on the conversation.
  const gone = new AbortController();
  const signal = AbortSignal.any([c.req.raw.signal, gone.signal]);
  let events: AsyncGenerator<AnswerEvent>;
  let first: IteratorResult<AnswerEvent>;
  let completed: Promise<void>;
  try {
    const options = optionsOf(service, signal, run);
    const result = await runExclusive(runner, agent, run.invocation.input, { ...options, stream: true });
    completed = result.completed;
    completed.then(end, end);
    events = answerEvents(result, run.conversation);
    // Until the first event an error still has a status.
    first = await events.next();
  } catch (error) {
    end();
    throw error;
  }
  return streamSSE(c, async (stream) => {
    stream.onAbort(() => gone.abort());
    const send = async (event: AnswerEvent | { readonly type: 'error' }): Promise<void> =>
      stream.writeSSE({ data: JSON.stringify(event) });
    try {
      for (let next = first; next.done !== true; next = await events.next()) await send(next.value);
      // The turn is stored: a caller that sees the end can send the next one.
      await completed;
      await stream.writeSSE({ data: '[DONE]' });
    } catch (error) {
      service.onError(error);
      await send({ type: 'error', ...publicError(error) });
    }
  });
}

interface Options {
  readonly context: Caller;
  readonly session: Session;
  readonly sessionInputCallback: SessionInputCallback;
  readonly signal: AbortSignal;
}

function optionsOf(service: Service, signal: AbortSignal, run: Run): Options {
  const { caller, invocation, conversation } = run;
  return {
    context: caller,
    session: service.conversations.of(caller, conversation),
    sessionInputCallback: continued(invocation),
    signal,
  };
}

/**
 * The history that the model is given. An id that a caller sends must be of a conversation of that caller: another's, an
 * expired and an invented one all have no history here, and are refused with the same words.
 */
function continued({ conversation }: Invocation): SessionInputCallback {
  return async (history, input) => {
    if (conversation !== undefined && history.length === 0) {
      throw refusal(
        'unknown_session',
        'You have no conversation with this custom_inputs.session_id. Omit it to begin one.',
      );
    }
    return trim(history, input);
  };
}
