import { Command, CommanderError } from 'commander';
import { createDefine, type Define, type Outcome } from './command.ts';
import { registerBranches } from './commands/branches.ts';
import { registerErase, registerShred } from './commands/erase.ts';
import { registerExport } from './commands/export.ts';
import { registerHold } from './commands/hold.ts';
import { registerImport } from './commands/import.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerInit } from './commands/init.ts';
import { registerInspect } from './commands/inspect.ts';
import { registerKeygen } from './commands/keygen.ts';
import { registerMigrate } from './commands/migrate.ts';
import { registerPurge } from './commands/purge.ts';
import { registerReceipt } from './commands/receipt.ts';
import { registerReencrypt } from './commands/reencrypt.ts';
import { registerRotate, registerRewrap } from './commands/rewrap.ts';
import { registerSessions } from './commands/sessions.ts';
import { registerTransfer } from './commands/transfer.ts';
import { registerUsage } from './commands/usage.ts';
import { registerVerify } from './commands/verify.ts';
import { CommandError, EXIT, exitCodeOf, type ExitCode } from './exit-codes.ts';
import { createOutput } from './output.ts';
import { registerReport } from './report/command.ts';
import { registerServe } from './serve/command.ts';

/** In the order of `--help`. */
const COMMANDS: readonly ((define: Define, program: Command) => void)[] = [
  registerInit,
  registerDoctor,
  registerKeygen,
  registerSessions,
  registerInspect,
  registerVerify,
  registerRotate,
  registerRewrap,
  registerReencrypt,
  registerPurge,
  registerHold,
  registerErase,
  registerShred,
  registerReceipt,
  registerExport,
  registerImport,
  registerTransfer,
  registerMigrate,
  registerBranches,
  registerUsage,
  registerReport,
  registerServe,
];

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
  // Node's own listener would print text between the lines for programs.
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message, ...rest }) => {
    if (name !== 'ExperimentalWarning')
      outcome.output.warning((rest as { readonly code?: string }).code ?? name, message);
  });
  // For programs the parser prints nothing itself: its error is a line like any other.
  if (outcome.output.json) program.configureOutput({ writeErr: () => undefined });
  const define = createDefine(program, outcome);
  for (const register of COMMANDS) register(define, program);
  try {
    await program.parseAsync(args, { from: 'user' });
    return outcome.code;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.done;
      // On a terminal commander has printed its message.
      if (outcome.output.json) outcome.output.error(new CommandError('USAGE', ofParser(error)));
      return EXIT.usage;
    }
    outcome.output.error(error);
    return exitCodeOf(error);
  }
}

function ofParser({ code, message }: CommanderError): string {
  // It has printed the help, because a command is missing.
  if (code === 'commander.help') return 'Give a command. strongroom --help shows the commands.';
  return `${message.replace(/^error: |\.$/g, '').replaceAll(/\s*\n\s*/g, ' ')}. strongroom --help shows the commands.`;
}
