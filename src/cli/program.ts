import { Command, CommanderError } from 'commander';
import { createDefine, type Define, type Outcome } from './command.ts';
import { registerKeygen } from './commands/keygen.ts';
import { registerSessions } from './commands/sessions.ts';
import { EXIT, exitCodeOf, type ExitCode } from './exit-codes.ts';
import { createOutput } from './output.ts';

/** In the order of `--help`. */
const COMMANDS: readonly ((define: Define) => void)[] = [registerKeygen, registerSessions];

/** Runs the command line and returns its exit code. Prints errors; never rejects. */
export async function main(version: string, args: readonly string[]): Promise<ExitCode> {
  const program = new Command('strongroom')
    .description('Operates the sessions of the configuration strongroom.config.ts.')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(strongroom --help shows the commands)');
  const outcome: Outcome = {
    code: EXIT.done,
    output: createOutput({ out: process.stdout, err: process.stderr }, args.includes('--json')),
  };
  const define = createDefine(program, outcome);
  for (const register of COMMANDS) register(define);
  try {
    await program.parseAsync(args, { from: 'user' });
    return outcome.code;
  } catch (error) {
    // commander has printed its message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    outcome.output.error(error);
    return exitCodeOf(error);
  }
}
