import { isStrongroomError } from '../errors.ts';
import { CommandError } from './exit-codes.ts';

/**
 * The message of an error for the terminal. Those of strongroom hold no secret. Others can come from the configuration, such as
 * `JSON.parse(process.env.KEY)`, whose error quotes the text: of these, what is quoted is left out.
 */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (isStrongroomError(error) || error instanceof CommandError) return error.message;
  if (error instanceof SyntaxError && error.message.endsWith('is not valid JSON'))
    return `${error.name}: a text is not valid JSON.`;
  return `${error.name}: ${error.message}`;
}
