import { errorName } from '../error-name.ts';
import { isStrongroomError } from '../errors.ts';
import { CommandError } from './exit-codes.ts';
import { messageOf } from './error-message.ts';

const MAX_CAUSES = 8;

/**
 * What an error was caused by, the nearest first, for people. Drivers of databases quote statements and values in their messages, so of
 * what is below an `ERR_STORE` only the class, the code, and the texts that the system and SQLite make are shown.
 */
export function causesOf(error: unknown): string[] {
  const texts = new Set<string>();
  let isOfDatabase = false;
  // Each is looked at once: a cause can name itself.
  const waiting: unknown[] = [error];
  for (const each of waiting) {
    if (!(each instanceof Error) || texts.size >= MAX_CAUSES) continue;
    // Of several attempts to connect, such as one for each address of a host.
    const several: readonly unknown[] = each instanceof AggregateError ? each.errors : [];
    if (each !== error && several.length === 0) texts.add(isOfDatabase ? outline(each) : full(each));
    isOfDatabase ||= isStrongroomError(each) && each.code === 'ERR_STORE';
    for (const next of [each.cause, ...several]) if (!waiting.includes(next)) waiting.push(next);
  }
  return [...texts];
}

/** The message of an error with its causes in one text. */
export function messageWithCauses(error: unknown): string {
  return [messageOf(error), ...causesOf(error).map((cause) => `Cause: ${cause}`)].join(' ');
}

function full(cause: Error): string {
  if (isStrongroomError(cause)) return `${cause.code}: ${cause.message}`;
  if (cause instanceof CommandError) return cause.message;
  const code = codeOf(cause);
  const message = messageOf(cause);
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}

function outline(cause: Error): string {
  if (isStrongroomError(cause)) return full(cause);
  const { syscall, errstr } = cause as { readonly syscall?: unknown; readonly errstr?: unknown };
  if (typeof syscall === 'string') return cause.message;
  const name = [errorName(cause) ?? 'Error', codeOf(cause)].filter((part) => part !== undefined).join(' ');
  return typeof errstr === 'string' ? `${name}: ${errstr}` : name;
}

/** The code of a driver, of the system, or the first word of an answer of Redis. */
function codeOf(cause: Error): string | undefined {
  const { code, errcode } = cause as { readonly code?: unknown; readonly errcode?: unknown };
  const given = typeof errcode === 'number' ? `SQLITE ${errcode}` : code;
  if ((typeof given === 'string' && /^[\w.: -]{1,64}$/.test(given)) || typeof given === 'number')
    return String(given);
  return /^[A-Z]{3,24}(?= )/.exec(cause.message)?.[0];
}
