/** What the service refuses, and how it says so: a status and `{ "error": { "code", "message" } }`. */
import { isStrongroomError } from 'strongroom';

const STATUS = {
  invalid_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  unknown_session: 404,
  not_found: 404,
  too_large: 413,
  busy: 503,
  shutting_down: 503,
  unavailable: 503,
  internal: 500,
} as const;

type Code = keyof typeof STATUS;

/** A refusal whose message is written for the caller. */
export interface Refusal extends Error {
  readonly code: Code;
}

/** Made, not thrown, so that the place that throws is visible. */
export function refusal(code: Code, message: string): Refusal {
  return Object.assign(new Error(message), { name: 'Refusal', code } as const);
}

/** What a caller may know of an error: the message of a refusal, and of anything else only its kind. */
export function publicError(error: unknown): { readonly code: Code; readonly message: string } {
  const { code, message } = asRefusal(error);
  return { code, message };
}

/** The answer to a request that failed. */
export function errorResponse(error: unknown): Response {
  const shown = publicError(error);
  const status = STATUS[shown.code];
  return Response.json(
    { error: shown },
    {
      status,
      headers:
        status === 503 ? { 'retry-after': '1' } : status === 401 ? { 'www-authenticate': 'Bearer' } : {},
    },
  );
}

function asRefusal(error: unknown): Pick<Refusal, 'code' | 'message'> {
  if (error instanceof Error && error.name === 'Refusal') return error as Refusal;
  if (isStrongroomError(error)) {
    if (error.code === 'ERR_ACCESS_DENIED') {
      return { code: 'forbidden', message: 'This conversation belongs to another caller.' };
    }
    if (error.code === 'ERR_TIMEOUT') {
      return { code: 'busy', message: 'The conversation or its database is busy. Send the request again.' };
    }
    if (error.retryable) {
      return {
        code: 'unavailable',
        message: 'The database or the key service does not answer. Send the request again later.',
      };
    }
  }
  return { code: 'internal', message: 'The service failed. Its log has the kind of the error.' };
}
