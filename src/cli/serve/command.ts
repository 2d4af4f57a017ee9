import { complianceReport } from '../../report/index.ts';
import type { Define } from '../command.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { openInputs, type InputFlags } from '../report/inputs.ts';
import { withInputs } from '../report/command.ts';
import { parseHost, parsePort } from './address.ts';
import { startViewer } from './server.ts';

interface ServeFlags extends InputFlags {
  readonly port: string;
  readonly host: string;
  readonly allowRemote?: true;
}

export function registerServe(define: Define): void {
  withInputs(
    define(
      'serve',
      'the report and a viewer of conversations, in a browser of this machine',
      async (context, flags) => {
        const { port, host, allowRemote, ...given } = flags as ServeFlags;
        const { output, signal, origin } = context;
        const address = parseHost(host, allowRemote === true);
        const number = parsePort(port);
        const { store, options } = await openInputs(context, given, 'serve');
        const viewer = await startViewer({
          store,
          origin,
          address,
          port: number,
          report: () => complianceReport(store, { ...options(), signal }),
        }).catch((error: unknown) => {
          const { code } = error as NodeJS.ErrnoException;
          if (code !== 'EADDRINUSE' && code !== 'EADDRNOTAVAIL' && code !== 'EACCES') throw error;
          throw new CommandError(
            'USAGE',
            `serve: cannot listen at ${address}, port ${number} (${code}). Choose another --port or --host.`,
          );
        });
        output.line('serving', { link: viewer.link }, viewer.link);
        output.hint('Open this link: it works once, within ten minutes. Ctrl-C ends the viewer.');
        await aborted(signal);
        await viewer.close();
        return EXIT.done;
      },
    ),
  )
    .option('--port <number>', 'the port; 0 is any free one', '0')
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--allow-remote', 'allow an address that other machines can reach, without TLS');
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done(), { once: true });
  });
}
