import { isStrongroomError } from '../errors.ts';
import { isPermanent } from './permanent.ts';

/** The exit codes of the command line. docs/cli.md explains them. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** Wrong arguments, or a configuration that cannot be used. */
  usage: 2,
  /** The command did its work and found something that needs a person. */
  findings: 3,
  /** What destroys was not confirmed; nothing was changed. */
  notConfirmed: 4,
  /** As EX_TEMPFAIL of sysexits.h: the same command can succeed later. */
  later: 75,
  /** 128 + SIGINT. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command that ends early for a reason of its own. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
  readonly code: 'USAGE' | 'NOT_CONFIRMED' | 'INTERRUPTED';
  constructor(code: CommandError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

const CODES: Readonly<Record<CommandError['code'], ExitCode>> = {
  USAGE: EXIT.usage,
  NOT_CONFIRMED: EXIT.notConfirmed,
  INTERRUPTED: EXIT.interrupted,
};

const ofConfiguration = new WeakSet<object>();

/** Runs a function of the configuration, such as one that makes the keys: what it throws has the exit code of a wrong one. */
export function ofTheConfiguration<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error) ofConfiguration.add(error);
    throw error;
  }
}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return CODES[error.code];
  if (isStrongroomError(error) && error.retryable && !isPermanent(error)) return EXIT.later;
  return error instanceof Error && ofConfiguration.has(error) ? EXIT.usage : EXIT.failed;
}
